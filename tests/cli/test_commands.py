"""Commands answer with one clear line and the right exit code, and act through the API alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.harness.api_server import ApiServer
from tests.harness.commands import CommandOutcome, tocsin

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
SECRET = "a-secret-of-the-siem-itself"


@pytest.fixture
def data_dir(server: ApiServer) -> Path:
    return server.settings.data_dir


def _good(done: CommandOutcome) -> CommandOutcome:
    assert done.returncode == 0, done.stderr
    return done


def test_a_file_that_is_no_export_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    assert tocsin("audit", "verify", tmp_path / "other").returncode == 2
    assert tocsin("audit", "verify", tmp_path / "missing").returncode == 2


def test_an_exported_trail_verifies_and_an_altered_one_is_found(
    data_dir: Path, tmp_path: Path
) -> None:
    export, here = tmp_path / "trail", ("--data-dir", data_dir)
    add = ("source", "add", "edge-1", "--product", "crowdsec", "--auth", "bearer")
    _good(tocsin(*add, *here))
    _good(tocsin("source", "remove", "edge-1", *here))
    exported = json.loads(_good(tocsin("audit", "export", export, "--json", *here)).stdout)
    assert export.stat().st_mode & 0o777 == 0o600
    assert len(export.read_bytes().splitlines()) >= exported["events"]
    verify = ("audit", "verify", export, "--public-key", data_dir / "audit.pub")
    assert "intact" in _good(tocsin(*verify)).stdout
    export.write_bytes(export.read_bytes().replace(b'"edge-1"', b'"edge-2"', 1))
    altered = tocsin(*verify)
    assert altered.returncode == 1
    assert "event " in altered.stdout


def test_the_trail_names_the_owner_of_the_key_not_the_user_of_the_machine(data_dir: Path) -> None:
    here = ("--data-dir", data_dir)
    _good(tocsin("kill-switch", "engage", "source", "audited", *here))
    _good(tocsin("kill-switch", "lift", "source", "audited", *here))
    events = json.loads(_good(tocsin("audit", "list", "--limit", "2", "--json", *here)).stdout)
    assert {event["actor"] for event in events} == {"person:admin"}


def test_a_command_needs_the_permission_of_its_route(data_dir: Path) -> None:
    _good(tocsin("person", "add", "viewer", "--data-dir", data_dir))
    create = ("key", "create", "viewer", "--role", "viewer", "--json", "--data-dir", data_dir)
    code = json.loads(_good(tocsin(*create)).stdout)["enrolment_code"]
    enrol = ("key", "enrol", code, "--json")
    key = json.loads(_good(tocsin(*enrol, TOCSIN_DATA_DIR=str(data_dir))).stdout)["token"]
    refused = tocsin("source", "list", "--data-dir", data_dir, TOCSIN_API_KEY=key)
    assert refused.returncode == 1
    assert refused.stderr == "tocsin: viewer lacks permission admin\n"


def test_a_generated_secret_is_printed_once(data_dir: Path) -> None:
    here = ("--data-dir", data_dir)
    add = ("source", "add", "hooks", "--product", "suricata", "--auth", "standard_webhooks")
    added = _good(tocsin(*add, *here))
    assert added.stdout.splitlines()[-1].startswith("whsec_")
    listed = _good(tocsin("source", "list", "--json", *here))
    assert "whsec_" not in listed.stdout
    assert '"hooks"' in listed.stdout


def test_a_given_secret_is_never_printed(data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    add = ("source", "add", "siem", "--product", "wazuh", "--auth", "bearer")
    added = _good(tocsin(*add, "--secret-file", tmp_path / "secret", "--data-dir", data_dir))
    assert SECRET not in added.stdout + added.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("source", "add", "x", "--product", "nessus9", "--auth", "bearer"), "nessus9"),
        (("connection", "add", "firewall", "--connector", "palo_alto"), "base_url"),
        (("connection", "check", "firewall"), "tocsin connection add"),
        (("playbook", "show", "nothing"), "nothing"),
        (("run", "show", "nothing"), "nothing"),
        (
            ("source", "add", "x", "--product", "wazuh", "--auth", "bearer")
            + ("--correlate-within", "soon"),
            "--correlate-within",
        ),
    ],
)
def test_an_error_is_one_clear_line(
    data_dir: Path, arguments: tuple[str, ...], expected: str
) -> None:
    refused = tocsin(*arguments, "--data-dir", data_dir)
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert "Traceback" not in refused.stderr


def test_wrong_usage_has_an_exit_code_of_its_own() -> None:
    assert tocsin("source", "add").returncode == 2
    assert tocsin("sources").returncode == 2


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    refused = tocsin("doctor", "--data-dir", tmp_path, TOCSIN_PORT="many")
    assert refused.returncode == 1
    assert "TOCSIN_PORT" in refused.stderr


def test_an_unreadable_file_is_named(data_dir: Path, tmp_path: Path) -> None:
    refused = tocsin("policy", "publish", tmp_path / "none.yaml", "--data-dir", data_dir)
    assert refused.returncode == 1
    assert "none.yaml: cannot be read" in refused.stderr


def test_assets_are_imported_listed_as_csv_and_removed(data_dir: Path, tmp_path: Path) -> None:
    here = ("--data-dir", data_dir)
    line = "host,csv-host,server,true,tier-0;europe"
    (tmp_path / "assets.csv").write_text(f"type,value,kind,critical,tags\n{line}\n")
    _good(tocsin("asset", "import", tmp_path / "assets.csv", *here))
    assert line in _good(tocsin("asset", "list", "--csv", *here)).stdout
    _good(tocsin("asset", "remove", "host", "csv-host", *here))
    (tmp_path / "wrong.csv").write_text("typ,value\n")
    refused = tocsin("asset", "import", tmp_path / "wrong.csv", *here)
    assert f"{tmp_path / 'wrong.csv'}: line 1: unknown column 'typ'" in refused.stderr


def test_a_policy_is_checked_explained_and_published(data_dir: Path, tmp_path: Path) -> None:
    here = ("--data-dir", data_dir)
    draft = tmp_path / "policy.yaml"
    draft.write_text("rules:\n  - {tags: no-such-tag, deny: never}\n")
    checked = _good(tocsin("policy", "check", draft, *here))
    assert "no-such-tag" in checked.stderr
    explained = _good(
        tocsin(
            "policy", "explain", draft, "--action", "firewall.block_address",
            "--target", "address:203.0.113.5", "--effect", "contain", "--tag", "no-such-tag", *here,
        )
    )  # fmt: skip
    assert "denied" in explained.stdout
    draft.write_text("rules: 3\n")
    assert f"{draft}:1" in tocsin("policy", "check", draft, *here).stderr
    before = _good(tocsin("policy", "show", *here)).stdout
    draft.write_text(before)
    assert "in force" in _good(tocsin("policy", "publish", draft, *here)).stdout


def test_a_version_is_signed_with_a_key_that_stays_on_this_machine(
    data_dir: Path, tmp_path: Path
) -> None:
    here = ("--data-dir", data_dir)
    _good(tocsin("playbook", "publish", PLAYBOOKS / "account-compromise", *here))
    _good(tocsin("signing-key", "new", "--file", tmp_path / "key"))
    assert "exists already" in tocsin("signing-key", "new", "--file", tmp_path / "key").stderr
    _good(tocsin("signing-key", "add", "a.author", tmp_path / "key.pub", *here))
    version, bundle = "account-compromise@1", tmp_path / "bundle.json"
    shown = [
        _good(tocsin("playbook", "show", each, *here)).stdout for each in (version, version[:-2])
    ]
    assert shown[0] == shown[1] == (PLAYBOOKS / "account-compromise/playbook.yaml").read_text()
    assert "Name one" in tocsin("playbook", "show", version, "--version", 2, *here).stderr
    sign = ("playbook", "sign", version, "--key", tmp_path / "key", "--person", "a.author")
    assert "still missing" in _good(tocsin(*sign, *here)).stdout
    _good(tocsin("playbook", "bundle", version, "-f", bundle, *here))
    assert len(json.loads(bundle.read_text())["signatures"]) == 1
    promote = tocsin("playbook", "promote", bundle, "--check", *here)
    assert promote.returncode == 1
    assert "cannot be promoted" in promote.stdout


def test_a_live_version_is_not_stopped_as_a_shadow(data_dir: Path) -> None:
    here = ("--data-dir", data_dir)
    _good(tocsin("playbook", "publish", PLAYBOOKS / "malware-on-endpoint", *here))
    refused = tocsin("shadow", "stop", "malware-on-endpoint@1", *here)
    assert refused.returncode == 1
    assert "shadow" in refused.stderr
    _good(tocsin("shadow", "start", "malware-on-endpoint@1", *here))
    assert "retired" in _good(tocsin("shadow", "stop", "malware-on-endpoint@1", *here)).stdout


def test_a_sync_plan_ends_with_2_while_changes_are_pending(data_dir: Path, tmp_path: Path) -> None:
    here = ("--env", "staging", "--data-dir", data_dir)
    _good(tocsin("playbook", "new", "synced", "--dir", tmp_path / "books"))
    assert tocsin("playbook", "sync", tmp_path / "books", "--plan", *here).returncode == 2
    _good(tocsin("playbook", "sync", tmp_path / "books", *here))
    assert tocsin("playbook", "sync", tmp_path / "books", "--plan", *here).returncode == 0


def test_the_schema_names_the_actions() -> None:
    assert "firewall.block_address" in _good(tocsin("playbook", "schema")).stdout


def test_a_new_installation_has_nothing_wrong(tmp_path: Path) -> None:
    done = tocsin("doctor", "--data-dir", tmp_path / "data")
    assert done.returncode == 0, done.stdout
    assert not (tmp_path / "data").exists()


def test_the_first_key_is_made_without_an_api(tmp_path: Path) -> None:
    done = _good(tocsin("migrate", "--data-dir", tmp_path / "data"))
    assert f"first admin key: {tmp_path / 'data' / 'admin.key'}" in done.stdout
    assert _good(tocsin("doctor", "--json", "--data-dir", tmp_path / "data"))
