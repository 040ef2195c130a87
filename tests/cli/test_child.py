"""A child process lives as long as its supervisor, and no longer."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.cli.stack.child import Child, Program
from orchestrator.cli.stack.ports import is_alive
from orchestrator.cli.stack.program_log import ProgramLog

SLEEP = (
    "import os, pathlib, sys, time; "
    "pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
)
IGNORE_SIGTERM = (
    "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN); "
    "pathlib.Path(sys.argv[1]).write_text('1'); time.sleep(600)"
)


def _until(ready: Callable[[], object], within: float = 20) -> object:
    deadline = time.monotonic() + within
    while not (result := ready()):
        assert time.monotonic() < deadline, "the condition did not become true"
        time.sleep(0.02)
    return result


def _pid(file: Path, other_than: int = 0) -> int:
    def read() -> int:
        text = file.read_text() if file.exists() else ""
        return int(text) if text and int(text) != other_than else 0

    return int(str(_until(read)))


@pytest.fixture
def supervisor(tmp_path: Path):
    program = str(Path(__file__).parents[1] / "harness" / "supervised.py")
    process = subprocess.Popen([sys.executable, program, str(tmp_path)])
    yield process
    process.kill()
    process.wait()


def test_a_killed_child_is_restarted(supervisor: subprocess.Popen[bytes], tmp_path: Path) -> None:
    first = _pid(tmp_path / "pid")
    os.kill(first, signal.SIGKILL)
    assert _pid(tmp_path / "pid", other_than=first) != first
    assert supervisor.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, parent_death wraps the program")
def test_no_child_survives_a_killed_supervisor(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    child = _pid(tmp_path / "pid")
    supervisor.kill()
    supervisor.wait()
    _until(lambda: not is_alive(child))


def test_a_wrapped_program_ends_when_the_pipe_closes(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    wrapper = [sys.executable, "-P", "-m", "orchestrator.cli.stack.parent_death"]
    process = subprocess.Popen(
        [*wrapper, sys.executable, "-c", SLEEP, str(tmp_path / "pid")],
        env={**os.environ, "TOCSIN_LIFELINE": str(reading)},
        pass_fds=(reading,),
    )
    _pid(tmp_path / "pid")
    os.close(writing)
    assert process.wait(60) == 256 - signal.SIGKILL
    os.close(reading)


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    lines: list[str] = []
    command = (sys.executable, "-c", IGNORE_SIGTERM, str(tmp_path / "up"))
    program = Program("deaf", command, dict(os.environ), watches_parent=False)
    child = Child(program, ProgramLog(tmp_path / "log", 65_536, 2), reading, lines.append)
    supervising = asyncio.create_task(child.supervise())
    async with asyncio.timeout(20):
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.02)
        await child.end(0.2)
        await supervising
    assert lines == ["deaf did not end within 0 s; killed"]
    os.close(reading)
    os.close(writing)


async def test_a_program_that_dies_repeatedly_shows_the_end_of_its_log(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    lines: list[str] = []
    command = (sys.executable, "-c", "import sys; sys.exit('no such table')")
    program = Program("broken", command, dict(os.environ), watches_parent=False)
    child = Child(program, ProgramLog(tmp_path / "log", 65_536, 2), reading, lines.append)
    supervising = asyncio.create_task(child.supervise())
    async with asyncio.timeout(20):
        while len(lines) < 3:
            await asyncio.sleep(0.02)
    await child.end(1)
    supervising.cancel()
    await asyncio.gather(supervising, return_exceptions=True)
    assert "ends with: no such table" in lines[2]
    os.close(reading)
    os.close(writing)
