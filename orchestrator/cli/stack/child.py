"""A supervised child process: started, restarted with a backoff when it dies, and ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from orchestrator.cli.stack import parent_death
from orchestrator.cli.stack.ports import LISTENER
from orchestrator.cli.stack.program_log import ProgramLog, finish

_FIRST_PAUSE, _MAX_PAUSE = 0.2, 5.0  # seconds
_STEADY = 20.0  # seconds of life after which a death no longer counts as a repeated one
_REPEATED = 3  # deaths in a row after which the end of the log is reported


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    watches_parent: bool = True
    """Whether it watches the supervisor's pipe by itself, as Tocsin's own programs do."""
    tied: bool = True
    """Whether it ends when its supervisor does, however that ends."""
    listener: int | None = None
    """The file descriptor of a socket that it serves."""


@dataclass(slots=True)
class Child:
    """One supervised process."""

    program: Program
    log: ProgramLog
    lifeline: int
    """The reading end of the supervisor's pipe, which the process inherits."""
    report: Callable[[str], None]
    """Gets a line whenever something happens to the process."""
    deaths: int = 0
    """How often it died in a row, each time soon after its start."""
    _process: asyncio.subprocess.Process | None = None
    _recording: asyncio.Task[None] | None = None
    _ending: bool = False
    _started: float = field(default=0.0)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def supervise(self) -> None:
        """Run the process, again and again, until `end` is called."""
        while not self._ending:
            process = await self._start()
            code = await process.wait()
            await self._finish_log()
            if self._ending:
                return
            self.deaths = 1 if time.monotonic() - self._started > _STEADY else self.deaths + 1
            pause = min(_MAX_PAUSE, _FIRST_PAUSE * 2 ** (self.deaths - 1))
            self.report(
                f"{self.program.name} ended ({_reason(code)}); restart in {pause:.1f} s"
                f"{self.last_line()}"
            )
            await asyncio.sleep(pause)

    async def end(self, within: float) -> None:
        """Terminate the process, and kill it after `within` seconds."""
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            await self._finish_log()
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            self.report(f"{self.program.name} did not end within {within:.0f} s; killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        await self._finish_log()

    async def _start(self) -> asyncio.subprocess.Process:
        program = self.program
        descriptors = {parent_death.VARIABLE: self.lifeline} if program.tied else {}
        if program.listener is not None:
            descriptors[LISTENER] = program.listener
        variables = {name: str(descriptor) for name, descriptor in descriptors.items()}
        output = self._open_output()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *_command(program),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**program.environment, **variables},
                pass_fds=tuple(descriptors.values()),
                start_new_session=True,  # Ctrl-C goes to the supervisor, which ends all in order
                preexec_fn=parent_death.die_with_parent if program.tied else None,
            )
        finally:
            os.close(output)
        self._started = time.monotonic()
        return self._process

    def _open_output(self) -> int:
        """Return where the program writes: a pipe to its log, or the file where it outlives us."""
        if not self.program.tied:
            return os.open(self.log.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        reading, writing = os.pipe()
        self._recording = asyncio.create_task(self.log.record(reading))
        return writing

    def last_line(self) -> str:
        """Return the end of the log where the process dies again and again."""
        if self.deaths < _REPEATED:
            return ""
        line = self.log.last_line()
        return f"; {self.log.path} ends with: {line}" if line else f"; see {self.log.path}"

    async def _finish_log(self) -> None:
        if self._recording is not None:
            await finish(self._recording)
            self.log.close()


def _command(program: Program) -> tuple[str, ...]:
    if program.watches_parent or not program.tied or sys.platform == "linux":
        return program.command
    wrapper = (sys.executable, "-P", "-m", "orchestrator.cli.stack.parent_death")
    return (*wrapper, *program.command)


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
