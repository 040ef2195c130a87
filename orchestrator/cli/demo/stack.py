"""How does the demo get a stack of its own, and keep it alive whatever is killed?"""

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
from orchestrator.domain.errors import Conflict, Unavailable
from orchestrator.settings import PREFIX

_READY_WITHIN = 180.0  # seconds
_USUAL_PORT = 8080
_TOO_OFTEN = 3


def fresh(folder: Path) -> None:
    """An empty data directory, where the last demo's lay. Raises Conflict for a folder that is something else, or whose stack runs."""
    if folder.exists() and any(folder.iterdir()):
        before = ports.remembered(folder)
        if before is None:
            message = (
                f"{folder}: is not empty, and no demo made it; name another folder with --data-dir"
            )
            raise Conflict(message)
        if _answers(before):
            message = f"{folder}: the stack of an earlier demo still runs here; end it with: kill {before.pid}"
            raise Conflict(message)
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@asynccontextmanager
async def running(
    folder: Path, *, keep: bool, say: Callable[[str], None]
) -> AsyncIterator[Listening]:
    """`tocsin up --lab` on the folder, started again if it is killed. With `keep` it outlives this process when all goes well."""
    reading, writing = os.pipe()
    port = ports.choose("127.0.0.1", _USUAL_PORT)
    command = (
        sys.executable,
        "-P",
        "-m",
        "orchestrator.cli",
        "up",
        "--lab",
        "--data-dir",
        str(folder),
        "--port",
        str(port),
    )
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(PREFIX)
    }  # the demo is the same everywhere
    child = Child(Program("up", command, clean, tied=not keep), folder / "up.log", reading, say)
    keeping = asyncio.create_task(child.keep())
    stays = False
    try:
        yield await _ready(folder, child)
        stays = keep
    finally:
        if not stays:
            await child.end(12)
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        os.close(reading)
        os.close(writing)


def end(pid: int) -> None:
    """Ask a kept stack to end."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


async def _ready(folder: Path, child: Child) -> Listening:
    deadline = time.monotonic() + _READY_WITHIN
    while time.monotonic() < deadline:
        listening = ports.remembered(folder)
        if (
            listening
            and listening.pid == child.pid
            and "ready" in (folder / "up.log").read_text("utf-8").splitlines()
        ):
            return listening
        if child.deaths >= _TOO_OFTEN:
            message = f"the stack does not start: {(folder / 'up.log').read_text('utf-8').strip().splitlines()[-1]}"
            raise Unavailable(message)
        await asyncio.sleep(0.1)
    message = f"the stack did not get ready within {_READY_WITHIN:.0f} s; see {folder}/up.log and {folder}/logs/"
    raise Unavailable(message)


def _answers(listening: Listening) -> bool:
    if not ports.alive(listening.pid):
        return False
    try:
        return httpx.get(f"{listening.api_url}/livez", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
