"""How is one child of the supervisor kept alive? Started, watched, started again a little later each time it dies, and ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.cli.stack import lifeline
from orchestrator.cli.stack.ports import LISTENER

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds
_STEADY = 20.0  # seconds of life after which a death is a new task
_LOG_LIMIT = 20 * 1024 * 1024  # bytes; a longer log is put aside when its process starts


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    `ours`: it watches the lifeline by itself. `tied`: it ends when its supervisor does, however that ends. `listener`: the file
    descriptor of a socket that it serves.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    ours: bool = True
    tied: bool = True
    listener: int | None = None


@dataclass(slots=True)
class Child:
    """One supervised process. `say` gets a line whenever something happens to it."""

    program: Program
    log: Path
    lifeline: int  # the reading end, which the child inherits
    say: Callable[[str], None]
    deaths: int = 0  # in a row, each soon after its start
    _process: asyncio.subprocess.Process | None = None
    _ending: bool = False
    _started: float = field(default=0.0)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def keep(self) -> None:
        """Runs it until `end` is called."""
        while not self._ending:
            await self._start()
            code = await self._wait()
            if self._ending:
                return
            self.deaths = 1 if time.monotonic() - self._started > _STEADY else self.deaths + 1
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self.deaths - 1))
            self.say(
                f"{self.program.name} ended ({_reason(code)}); it is started again in {pause:.1f} s{self._last_words()}"
            )
            await asyncio.sleep(pause)

    async def end(self, within: float) -> None:
        """Asks it to end, and kills it after `within` seconds."""
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), within)
        except TimeoutError:
            self.say(f"{self.program.name} did not end within {within:.0f} s; it is killed")
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> None:
        program = self.program
        handed = {lifeline.VARIABLE: self.lifeline} if program.tied else {}
        if program.listener is not None:
            handed[LISTENER] = program.listener
        leashed = not program.ours and sys.platform != "linux"
        command = (
            (sys.executable, "-P", "-m", "orchestrator.cli.stack.parent_death", *program.command)
            if leashed
            else program.command
        )
        _put_aside(self.log)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **program.environment,
                    **{name: str(descriptor) for name, descriptor in handed.items()},
                },
                pass_fds=tuple(handed.values()),
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends the others in order
                preexec_fn=lifeline.die_with_parent if program.tied else None,
            )
        self._started = time.monotonic()

    async def _wait(self) -> int:
        if self._process is None:  # never: it was just started
            return 0
        return await self._process.wait()

    def _last_words(self) -> str:
        """Where it dies again and again, the end of its log."""
        if self.deaths < 3:
            return ""
        lines = self.log.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return f"; {self.log} ends with: {lines[-1]}" if lines else f"; see {self.log}"


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        os.replace(log, log.with_suffix(".log.1"))  # noqa: PTH105  says that it overwrites


def _reason(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
