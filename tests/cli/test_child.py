"""Does a child live as long as its supervisor, and no longer?"""

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
from orchestrator.cli.stack.ports import alive


def _until(ready: Callable[[], object], within: float = 20) -> object:
    deadline = time.monotonic() + within
    while not (found := ready()):
        assert time.monotonic() < deadline, "the condition did not come"
        time.sleep(0.02)
    return found


def _pid(file: Path, other_than: int = 0) -> int:
    def read() -> int:
        text = file.read_text() if file.exists() else ""
        return int(text) if text and int(text) != other_than else 0

    return int(str(_until(read)))


@pytest.fixture
def supervisor(tmp_path: Path):
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parents[1] / "harness" / "supervised.py"),
            str(tmp_path),
        ]
    )
    yield process
    process.kill()
    process.wait()


def test_a_child_that_is_killed_is_started_again(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    first = _pid(tmp_path / "pid")
    os.kill(first, signal.SIGKILL)
    assert _pid(tmp_path / "pid", other_than=first) != first
    assert supervisor.poll() is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the leash sees to it")
def test_no_child_outlives_a_supervisor_that_is_killed(
    supervisor: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    child = _pid(tmp_path / "pid")
    supervisor.kill()
    supervisor.wait()
    _until(lambda: not alive(child))


def test_a_leashed_program_ends_when_the_pipe_closes(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
    command = [
        sys.executable,
        "-P",
        "-m",
        "orchestrator.cli.stack.parent_death",
        sys.executable,
        "-c",
        code,
        str(tmp_path / "pid"),
    ]
    leash = subprocess.Popen(
        command, env={**os.environ, "TOCSIN_LIFELINE": str(reading)}, pass_fds=(reading,)
    )
    _pid(tmp_path / "pid")
    os.close(writing)
    assert leash.wait(20) == 256 - signal.SIGKILL
    os.close(reading)


async def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    code = "import pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN); pathlib.Path(sys.argv[1]).write_text('1'); time.sleep(600)"
    said: list[str] = []
    program = Program(
        "deaf", (sys.executable, "-c", code, str(tmp_path / "up")), dict(os.environ), ours=False
    )
    child = Child(program, tmp_path / "log", reading, said.append)
    keeping = asyncio.create_task(child.keep())
    async with asyncio.timeout(20):
        while not (tmp_path / "up").exists():
            await asyncio.sleep(0.02)
        await child.end(0.2)
        await keeping
    assert said == ["deaf did not end within 0 s; it is killed"]
    os.close(reading)
    os.close(writing)


async def test_a_program_that_dies_at_once_again_and_again_says_why(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    said: list[str] = []
    program = Program(
        "broken",
        (sys.executable, "-c", "import sys; sys.exit('no such table')"),
        dict(os.environ),
        ours=False,
    )
    child = Child(program, tmp_path / "log", reading, said.append)
    keeping = asyncio.create_task(child.keep())
    async with asyncio.timeout(20):
        while len(said) < 3:
            await asyncio.sleep(0.02)
    await child.end(1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert "ends with: no such table" in said[2]
    os.close(reading)
    os.close(writing)
