"""The demo's own stack: `tocsin up --lab` on a fresh folder, restarted when it is killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx

from orchestrator.cli.stack import ports
from orchestrator.cli.stack.child import Child, Program
from orchestrator.cli.stack.ports import Listening
from orchestrator.cli.stack.program_log import ProgramLog
from orchestrator.domain.errors import Conflict, Invalid, Unavailable
from orchestrator.settings import PREFIX, Settings

_READY_WITHIN = 180.0  # seconds
_USUAL_PORT = 8080
_MAX_DEATHS = 3
_END_WITHIN = 12.0  # seconds


def prepare_folder(folder: Path) -> None:
    """Empty an earlier demo's folder. Raise Conflict for other folders, or if its stack runs."""
    if folder.exists() and any(folder.iterdir()):
        before = ports.load_listening(folder)
        if before is None:
            raise Conflict(
                f"{folder}: is not empty, and not from a demo; name another folder with --data-dir"
            )
        if _answers(before):
            raise Conflict(
                f"{folder}: the stack of an earlier demo still runs; end it with: kill {before.pid}"
            )
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@asynccontextmanager
async def demo_stack(
    folder: Path, *, keep: bool, port: int | None = None, report: Callable[[str], None]
) -> AsyncIterator[Listening]:
    """Yield the addresses of the stack. With `keep` it outlives this process if all goes well."""
    reading, writing = os.pipe()
    settings = Settings.load(data_dir=folder)
    log = ProgramLog(folder / "up.log", settings.log_max_bytes, settings.log_keep)
    child = Child(_program(folder, port, tied=not keep), log, reading, report)
    supervising = asyncio.create_task(child.supervise())
    stays = False
    try:
        yield await _ready(folder, child)
        stays = keep
    finally:
        if not stays:
            await child.end(_END_WITHIN)
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising
        os.close(reading)
        os.close(writing)


def end(pid: int) -> None:
    """Ask a stack that was kept to end."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


def _program(folder: Path, port: int | None, *, tied: bool) -> Program:
    port = port or ports.choose("127.0.0.1", _USUAL_PORT)
    command = [sys.executable, "-P", "-m", "orchestrator.cli", "up", "--lab"]
    command += ["--data-dir", str(folder), "--port", str(port)]
    # Settings of this shell would make the demo a different one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return Program("up", tuple(command), environment, tied=tied)


async def _ready(folder: Path, child: Child) -> Listening:
    log = folder / "up.log"
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        listening = ports.load_listening(folder)
        lines = log.read_text("utf-8").splitlines() if log.exists() else []
        if listening and listening.pid == child.pid and "ready" in lines:
            return listening
        if child.deaths >= _MAX_DEATHS:
            raise Unavailable(f"the stack does not start: {lines[-1] if lines else log}")
        await asyncio.sleep(0.1)
    raise Unavailable(
        f"the stack is not ready after {_READY_WITHIN:.0f} s; see {log} and {folder}/logs/"
    )


def _answers(listening: Listening) -> bool:
    if not ports.is_alive(listening.pid):
        return False
    try:
        context = listening.trust.context()
        url = f"{listening.api_url}/livez"
        return httpx.get(url, timeout=5, trust_env=False, verify=context).is_success
    except (httpx.HTTPError, Invalid):
        return False
