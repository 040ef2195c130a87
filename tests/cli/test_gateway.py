"""The gateway of the bundled Temporal server, attacked by another user of the machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.service import RPCError

from orchestrator.cli.stack.gateway import BARRIER, NAMESPACE, open_to_others
from orchestrator.cli.stack.ports import (
    Listening,
    choose,
    reach_temporal,
    save_listening,
    temporal_certificates,
)
from orchestrator.cli.stack.programs import stack_programs, temporal_binary
from orchestrator.crypto.certificates import LoopbackCertificates
from orchestrator.domain.errors import Unavailable
from orchestrator.engine.temporal.client import polling_workers
from orchestrator.engine.temporal.endpoint import open_client
from orchestrator.settings import Settings

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


class Running:
    """A gateway with its server on a data directory."""

    def __init__(self, folder: Path) -> None:
        listening = Listening(pid=1, host="127.0.0.1", api=1, temporal=choose("127.0.0.1"))
        save_listening(folder, listening)
        settings = Settings(data_dir=folder)
        (program,) = [
            each
            for each in stack_programs(settings, None, listening, {})
            if each.name == "temporal"
        ]
        self.address = str(listening.temporal_address)
        self.settings = reach_temporal(settings, listening)
        self.process = subprocess.Popen(program.command, env=program.environment)

    def tree(self) -> list[int]:
        """Return the process ids of the gateway and its server."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [self.process.pid, *map(int, task.read_text().split())]


async def _ready(settings: Settings) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            await polling_workers(await open_client(settings))
        except (Unavailable, RPCError):
            assert time.monotonic() < deadline, "the server did not start"
            await asyncio.sleep(0.1)
        else:
            return


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gateway")
    folder.chmod(0o700)
    started = Running(folder)
    try:
        asyncio.run(_ready(started.settings))
        yield started
    finally:
        started.process.terminate()
        started.process.wait(60)


def _in_namespace(running: Running) -> bool:
    return (temporal_certificates(running.settings.data_dir).folder / BARRIER).read_text() == (
        NAMESPACE
    )


def _as_other(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as another user where this one is root, else without the certificate."""
    prefix = NOBODY if os.geteuid() == 0 else []
    return subprocess.run(
        [*prefix, *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"HOME": "/nonexistent", "PATH": os.environ["PATH"]},
        cwd="/",
    )


@pytest.mark.attack(
    "another local user lists, starts, signals and terminates workflows",
    before="any local user reached the port: a copied payload isolated a released host again",
)
@pytest.mark.parametrize("tls", [[], ["--tls", "--tls-disable-host-verification"]])
@pytest.mark.parametrize(
    "act",
    [
        ["operator", "namespace", "list"],
        ["workflow", "list"],
        ["workflow", "start", "--type", "RunPlaybook", "--task-queue", "tocsin"],
        ["workflow", "terminate", "--workflow-id", "run-1"],
        ["workflow", "show", "--workflow-id", "run-1"],
    ],
)
def test_another_user_is_refused_whatever_they_ask(
    running: Running, act: list[str], tls: list[str]
) -> None:
    connect = ["--address", running.address, "--command-timeout", "5s", *tls]
    refused = _as_other(temporal_binary(), *act, *connect)
    assert refused.returncode != 0
    assert not refused.stdout.strip()
    assert "failed" in refused.stderr, refused.stderr


@pytest.mark.attack(
    "another local user looks for the server's own port, past the gateway",
    before="the server listened on the loopback of the machine",
)
def test_the_server_listens_on_no_port_of_the_machine(running: Running) -> None:
    if not _in_namespace(running):
        pytest.skip("this machine allows no network namespaces")
    gateway, server = running.tree()
    mine, theirs = (Path(f"/proc/{pid}/ns/net").readlink() for pid in ("self", server))
    assert mine != theirs, "the server is in a network of its own"
    inside = _listening(Path(f"/proc/{server}/net"))
    outside = _listening(Path("/proc/self/net"))
    assert 7233 in inside
    assert 7233 not in outside
    entered = _as_other("nsenter", "--target", str(server), "--net", "true")
    if os.geteuid() == 0:
        assert entered.returncode != 0, "another user cannot enter it"
    assert gateway == running.process.pid


def _listening(net: Path) -> set[int]:
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in (net / name).read_text().splitlines()[1:]
    ]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}


@pytest.mark.attack(
    "another local user reads the client certificate's key, or makes a certificate",
    before="no certificate was asked for",
)
async def test_a_certificate_of_another_authority_is_refused(
    running: Running, tmp_path: Path
) -> None:
    own = temporal_certificates(running.settings.data_dir)
    if os.geteuid() == 0:
        assert _as_other("cat", str(own.client_key)).returncode != 0
    assert own.client_key.stat().st_mode & 0o077 == 0
    forged = LoopbackCertificates(tmp_path / "forged")
    forged.ensure()
    stolen = {"temporal_tls_cert_file": forged.client, "temporal_tls_key_file": forged.client_key}
    with pytest.raises(Unavailable, match="refuse the client certificate"):
        await open_client(running.settings.model_copy(update=stolen))
    # The server's own certificate is no client certificate either.
    server = {"temporal_tls_cert_file": own.server, "temporal_tls_key_file": own.server_key}
    with pytest.raises(Unavailable, match="refuse the client certificate"):
        await open_client(running.settings.model_copy(update=server))


def test_the_server_ends_with_a_killed_gateway(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the kernel ends it on Linux")
    tmp_path.chmod(0o700)
    started = Running(tmp_path)
    asyncio.run(_ready(started.settings))
    _, server = started.tree()
    started.process.kill()
    started.process.wait(60)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{server}").exists() and "Z" not in _state(server):
        assert time.monotonic() < deadline, "the server outlived its gateway"
        time.sleep(0.02)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1].split()[0]
    except FileNotFoundError:
        return "Z"


def test_certificates_are_made_once_and_again_after_a_crash_between(tmp_path: Path) -> None:
    made = LoopbackCertificates(tmp_path / "tls")
    made.ensure()
    first = made.client.read_bytes()
    made.ensure()
    assert made.client.read_bytes() == first
    made.authority.unlink()  # a crash before the last file
    made.ensure()
    assert made.client.read_bytes() != first
    assert {file.stat().st_mode & 0o777 for file in made.folder.iterdir()} == {0o600}


def test_a_missing_barrier_is_said_with_its_reason(tmp_path: Path) -> None:
    assert open_to_others(tmp_path) is None
    (tmp_path / BARRIER).write_text("user namespaces are restricted here (Operation not permitted)")
    reason = open_to_others(tmp_path)
    assert reason is not None
    assert "other users of this machine reach Temporal's own port" in reason
    assert "restricted here" in reason
