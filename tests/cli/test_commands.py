"""Do the commands answer with one clear line and the right exit code?"""

import subprocess
import sys
from pathlib import Path

import pytest


def tocsin(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "orchestrator.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **environment},
        check=False,
    )


def test_a_file_that_is_no_export_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hello\n")
    assert tocsin("audit", "verify", tmp_path / "other").returncode == 2
    assert tocsin("audit", "verify", tmp_path / "missing").returncode == 2


def test_a_fresh_trail_is_exported_and_verified_and_an_altered_one_is_found(tmp_path: Path) -> None:
    data, export = tmp_path / "data", tmp_path / "trail"
    assert (
        tocsin(
            "source", "add", "edge", "--product", "crowdsec", "--auth", "bearer", "--data-dir", data
        ).returncode
        == 0
    )
    assert tocsin("source", "remove", "edge", "--data-dir", data).returncode == 0
    assert tocsin("audit", "export", export, "--data-dir", data).returncode == 0
    assert tocsin("audit", "verify", export, "--public-key", data / "audit.pub").returncode == 0
    export.write_bytes(export.read_bytes().replace(b'"edge"', b'"edgy"', 1))
    found = tocsin("audit", "verify", export, "--public-key", data / "audit.pub")
    assert found.returncode == 1
    assert "event 1" in found.stdout


def test_a_secret_is_made_where_none_is_given_and_shown_this_once(tmp_path: Path) -> None:
    made = tocsin(
        "source",
        "add",
        "hooks",
        "--product",
        "suricata",
        "--auth",
        "standard_webhooks",
        "--data-dir",
        tmp_path,
    )
    assert made.stdout.splitlines()[-1].startswith("whsec_")
    listed = tocsin("source", "list", "--data-dir", tmp_path, "--json")
    assert "whsec_" not in listed.stdout
    assert '"hooks"' in listed.stdout


def test_a_given_secret_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a-secret-of-the-siem-itself\n")
    made = tocsin(
        "source",
        "add",
        "s",
        "--product",
        "wazuh",
        "--auth",
        "bearer",
        "--secret-file",
        tmp_path / "secret",
        "--data-dir",
        tmp_path / "d",
    )
    assert made.returncode == 0, made.stderr
    assert "a-secret" not in made.stdout + made.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("source", "add", "x", "--product", "nessus9", "--auth", "bearer"), "nessus9"),
        (("connection", "add", "firewall", "--connector", "palo_alto"), "base_url"),
        (("connection", "check", "firewall"), "tocsin connection add"),
        (("playbook", "show", "nothing"), "nothing"),
        (("run", "list"), "tocsin up"),
        (
            (
                "source",
                "add",
                "x",
                "--product",
                "wazuh",
                "--auth",
                "bearer",
                "--correlate-within",
                "soon",
            ),
            "--correlate-within",
        ),
    ],
)
def test_what_is_wrong_is_one_clear_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = tocsin(*arguments, "--data-dir", tmp_path)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_setting_that_is_wrong_is_named(tmp_path: Path) -> None:
    refused = tocsin("source", "list", "--data-dir", tmp_path, TOCSIN_PORT="many")
    assert refused.returncode == 1
    assert "TOCSIN_PORT" in refused.stderr


def test_a_bad_playbook_is_named_by_file_line_and_mend(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "playbook: bad\nversion: 1\ntitle: T\nowner: o\nsteps:\n  - id: a\n    use: firewall.blok_address\n    with: {}\n"
    )
    refused = tocsin("playbook", "check", tmp_path / "bad.yaml", "--data-dir", tmp_path / "d")
    assert refused.returncode == 1
    assert "bad.yaml" in refused.stderr
    assert "block_address" in refused.stderr


@pytest.mark.parametrize(
    "name",
    ["account-compromise", "brute-force-block", "c2-beacon-containment", "malware-on-endpoint"],
)
def test_a_playbook_that_ships_is_good(tmp_path: Path, name: str) -> None:
    checked = tocsin(
        "playbook", "check", Path(__file__).parents[2] / "playbooks" / name, "--data-dir", tmp_path
    )
    assert checked.returncode == 0, checked.stderr


def test_the_schema_names_the_actions(tmp_path: Path) -> None:
    assert "firewall.block_address" in tocsin("playbook", "schema", "--data-dir", tmp_path).stdout


def test_a_new_installation_has_nothing_wrong(tmp_path: Path) -> None:
    told = tocsin("doctor", "--data-dir", tmp_path / "data")
    assert told.returncode == 0, told.stdout
