"""`tocsin doctor` finds each set-up that cannot work, says where and how to fix it, and changes nothing."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.nftables.connector import Nftables
from orchestrator import first_start
from orchestrator.access import keys
from orchestrator.cli.stack.ports import Listening, save_listening
from orchestrator.connections import manage as connections
from orchestrator.domain.access import Role
from orchestrator.installation.open import open_first
from orchestrator.policy import policies
from orchestrator.registry import publish
from orchestrator.runtime import Runtime
from orchestrator.settings import Settings
from tests.harness.commands import tocsin
from tests.harness.mail_server import MailServer
from tests.harness.people import add_key

PLAYBOOK = """\
playbook: by-hand
version: 1
title: Block
owner: soc
inputs: {address: {type: address}}
steps:
  - id: block
    approve: {by: night-shift}
    use: firewall.block_address
    with: {address: "${{ inputs.address }}"}
    for: 1h
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The data directory of an installation whose stack does not run."""
    assert tocsin("migrate", "--data-dir", tmp_path / "data").returncode == 0
    return tmp_path / "data"


def _wrong(data_dir: Path, **variables: str) -> list[str]:
    """The texts of what is wrong; the exit code says the same."""
    done = tocsin("doctor", "--json", "--data-dir", data_dir, **variables)
    found = json.loads(done.stdout)
    assert all(set(each) == {"level", "check", "text"} for each in found)
    texts = [each["text"] for each in found if each["level"] == "wrong"]
    assert done.returncode == (1 if texts else 0)
    return texts


def _one(data_dir: Path, **variables: str) -> str:
    [text] = _wrong(data_dir, **variables)
    return text


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


async def _opened(data_dir: Path) -> Runtime:
    return await open_first(Settings.load(data_dir=data_dir))


def _configure(data_dir: Path, change: Any) -> None:
    """Change what is configured, as another administrator does."""

    async def configure() -> None:
        rt = await _opened(data_dir)
        try:
            await change(rt)
        finally:
            await rt.close()

    asyncio.run(configure())


def test_a_whole_installation_has_nothing_wrong(data_dir: Path) -> None:
    assert _wrong(data_dir, TOCSIN_PORT=_free_port()) == []


def test_a_taken_port_is_found_before_the_start(data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in _one(data_dir, TOCSIN_PORT=port)


def test_a_variable_without_effect_is_named_with_the_one_that_was_meant(data_dir: Path) -> None:
    said = _one(data_dir, TOCSIN_PROT="1", TOCSIN_PORT=_free_port())
    assert said == ("TOCSIN_PROT: unknown variable, which has no effect; did you mean TOCSIN_PORT?")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"TOCSIN_SMTP_URL": "smtp://127.0.0.1:1"}, "mail_from and public_url"),
        ({"TOCSIN_MAIL_FROM": "soc@corp.example"}, "smtp_url and public_url"),
    ],
)
def test_half_a_mail_setup_is_wrong(data_dir: Path, given: dict[str, str], missing: str) -> None:
    said = _one(data_dir, TOCSIN_PORT=_free_port(), **given)
    assert said == f"no mail is sent: also set {missing}"


_MAIL = {"TOCSIN_MAIL_FROM": "soc@corp.example", "TOCSIN_PUBLIC_URL": "https://tocsin.example"}


def test_a_mail_server_that_does_not_answer_is_wrong(data_dir: Path) -> None:
    closed = {"TOCSIN_SMTP_URL": f"smtp://127.0.0.1:{_free_port()}", **_MAIL}
    assert "smtp_url: the mail server cannot be reached" in _one(
        data_dir, TOCSIN_PORT=_free_port(), **closed
    )


async def test_a_mail_server_that_answers_is_good(data_dir: Path) -> None:
    async with MailServer() as server:
        given = {"TOCSIN_SMTP_URL": server.url, "TOCSIN_PORT": _free_port(), **_MAIL}
        assert await asyncio.to_thread(_wrong, data_dir, **given) == []
        assert server.taken == []


def test_a_group_that_no_valid_key_is_in_is_named(data_dir: Path) -> None:
    async def publish_policy(rt: Runtime) -> None:
        text = "rules:\n  - {effect: contain, approve: {by: night-shift}}\n"
        await policies.publish_policy(rt, text, actor="test")

    async def add_viewer(rt: Runtime) -> None:
        await add_key(rt, "ann", (Role.VIEWER,), ("night-shift",), actor="test")

    async def add_approver(rt: Runtime) -> None:
        await add_key(rt, "bob", (Role.APPROVER,), ("night-shift",), actor="test")

    port = _free_port()
    for change in (publish_policy, add_viewer):
        _configure(data_dir, change)
        said = _one(data_dir, TOCSIN_PORT=port)
        assert "policy, rule" in said
        assert "group night-shift cannot answer" in said
        assert "tocsin person change PERSON --add-group night-shift" in said
    _configure(data_dir, add_approver)
    assert _wrong(data_dir, TOCSIN_PORT=port) == []


def test_a_playbook_without_its_connection_or_approvers_is_named(data_dir: Path) -> None:
    async def publish_playbook(rt: Runtime) -> None:
        settings = {"nft": "/usr/sbin/nft"}
        await connections.save_connection(
            rt, "firewall", Nftables.name, settings, actor="test", check=False
        )
        await publish.publish_playbook(rt, PLAYBOOK, "p.yaml", actor="test")
        await connections.remove_connection(rt, "firewall", actor="test")

    _configure(data_dir, publish_playbook)
    group, connection = _wrong(data_dir, TOCSIN_PORT=_free_port())
    assert "by-hand version 1, step 'block': group night-shift" in group
    assert "connection firewall does not exist, and is used by by-hand version 1" in connection


def test_a_revoked_admin_key_is_named(data_dir: Path) -> None:
    async def revoke(rt: Runtime) -> None:
        for key in await keys.list_keys(rt):
            await keys.revoke_key(rt, key.id, actor="test")

    _configure(data_dir, revoke)
    said = _wrong(data_dir, TOCSIN_PORT=_free_port())
    assert any("admin.key: this key is not accepted" in text for text in said)
    assert any("no valid admin key is left" in text for text in said)
    (data_dir / "admin.key").unlink()
    assert tocsin("migrate", "--data-dir", data_dir).returncode == 0
    assert _wrong(data_dir, TOCSIN_PORT=_free_port()) == []


def test_a_key_that_expires_soon_is_noted(data_dir: Path) -> None:
    async def add(rt: Runtime) -> None:
        await add_key(rt, "ann", (Role.VIEWER,), expires_in=timedelta(days=3), actor="test")

    _configure(data_dir, add)
    done = tocsin("doctor", "--data-dir", data_dir, TOCSIN_PORT=_free_port())
    assert "of ann expires at" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("break_", "expected"),
    [
        (lambda d: (d / "encryption.key").write_text("garbage"), "put the key of your backup back"),
        (lambda d: (d / "encryption.key").unlink(), "encryption.key: does not exist"),
        (lambda d: (d / "audit.key").unlink(), "audit.key: does not exist"),
        (lambda d: (d / "tocsin.db").unlink(), "keys without their database"),
        (lambda d: (d / "tocsin.db").write_bytes(b"x" * 9000), "tocsin.db: is damaged"),
        (lambda d: (d / "temporal.db").write_bytes(b"x" * 9000), "temporal.db: is damaged"),
        (lambda d: d.chmod(0o755), "run: chmod 700"),
        (lambda d: (d / "encryption.key").chmod(0o644), "run: chmod 600"),
        (lambda d: (d / "admin.key").chmod(0o644), "run: chmod 600"),
    ],
)
def test_the_doctor_and_the_start_refuse_the_same(
    data_dir: Path, break_: Any, expected: str
) -> None:
    break_(data_dir)
    said = _one(data_dir, TOCSIN_PORT=_free_port())
    assert expected in said
    start = tocsin("up", "--data-dir", data_dir, "--port", _free_port())
    assert start.returncode == 1
    assert expected in start.stderr
    assert "ready" not in start.stdout


async def test_a_foreign_key_is_refused_by_the_doctor_and_the_start(
    data_dir: Path, tmp_path: Path
) -> None:
    other = await _opened(tmp_path / "other")
    await first_start.create_database(other)
    await other.close()
    shutil.copy(tmp_path / "other" / "encryption.key", data_dir / "encryption.key")
    expected = "is not the encryption key of"
    assert expected in await asyncio.to_thread(_one, data_dir, TOCSIN_PORT=_free_port())


def test_an_external_temporal_that_is_absent_is_wrong(data_dir: Path) -> None:
    address = f"127.0.0.1:{_free_port()}"
    given = {"TOCSIN_TEMPORAL_BUNDLED": "false", "TOCSIN_TEMPORAL_ADDRESS": address}
    said = _one(data_dir, TOCSIN_PORT=_free_port(), **given)
    assert f"Temporal does not answer at {address}" in said


def test_a_stack_that_runs_and_does_not_answer_is_wrong(data_dir: Path) -> None:
    listening = Listening(pid=1, host="127.0.0.1", api=int(_free_port()), temporal=None)
    save_listening(data_dir, listening)
    said = _wrong(data_dir)
    assert any("the API does not answer" in text for text in said)


def test_each_worker_that_serves_no_metrics_is_wrong(data_dir: Path) -> None:
    port = int(_free_port())
    workers: dict[str, int | None] = {"worker": port, "worker-2": int(_free_port())}
    save_listening(data_dir, Listening(pid=1, host="127.0.0.1", api=1, workers=workers))
    said = _wrong(data_dir)
    for name, each in workers.items():
        line = f"{name} does not serve its metrics at http://127.0.0.1:{each}/metrics; see"
        assert any(line in text and f"/logs/{name}.log" in text for text in said)


def test_the_doctor_creates_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir(mode=0o700)
    assert _wrong(folder, TOCSIN_PORT=_free_port()) == []
    assert list(folder.iterdir()) == []


def test_outbound_proxy_that_does_not_answer_is_wrong(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        proxy = f"http://tocsin:s3cret@127.0.0.1:{port}"
        assert not any("proxy" in text for text in _wrong(data_dir, TOCSIN_OUTBOUND_PROXY=proxy))
    [text] = [text for text in _wrong(data_dir, TOCSIN_OUTBOUND_PROXY=proxy) if "proxy" in text]
    assert f"127.0.0.1:{port} does not answer" in text
    assert "s3cret" not in text
