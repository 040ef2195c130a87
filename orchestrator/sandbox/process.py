"""A sandbox as the API uses it: one process, started when it is needed, replaced when it dies.

Why not a library: `anyio.to_process` and the pools of `concurrent.futures` and `loky` hand their
own environment, with its secrets, to the process, take pickles back from it, and know no limits.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import structlog

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.sandbox import limits
from orchestrator.sandbox.frames import HEAD, MAX_BYTES, frame
from orchestrator.sandbox.task import Refusal, Reply, Request, SandboxTask

_COMMAND = (sys.executable, "-P", "-m", "orchestrator.sandbox.child")
_log = structlog.get_logger(__name__)


class SandboxProcess:
    """Carries out tasks one at a time, each within the limits."""

    def __init__(
        self, allowed: limits.SandboxLimits = limits.TEXTS, command: tuple[str, ...] = _COMMAND
    ) -> None:
        self._allowed, self._command = allowed, command
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process while it runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and alive else None

    async def run(self, task: SandboxTask[Request, Reply], request: Request) -> Reply:
        """Return what the task returns, and raise what it raises.

        Raise Invalid where it needs too much time or memory, Unavailable where too many wait.
        """
        if self._waiting >= limits.MAX_WAITING:
            raise Unavailable(f"{self._allowed.work}: too many requests wait for it; try again")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._run(task, request)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the process."""
        if self._idle is not None:
            self._idle.cancel()
        await self._kill()

    async def _run(self, task: SandboxTask[Request, Reply], request: Request) -> Reply:
        if self._idle is not None:
            self._idle.cancel()
        answered = False
        try:
            process = await self._running()
            async with asyncio.timeout(self._allowed.seconds):
                sign, content = await _ask(process, task.place, request)
            answered = sign != b"m"
        except TimeoutError:
            if not self._ready:
                raise Unavailable(f"{self._allowed.work}: its process does not start") from None
            raise Invalid(
                f"{self._allowed.work} takes longer than {self._allowed.seconds:g} seconds; "
                f"{self._allowed.remedy}"
            ) from None
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Unavailable(f"{self._allowed.work}: its process ended; try again") from error
        finally:  # also when the client goes away: the rest of the work is for no one
            if not answered:
                await asyncio.shield(self._kill())
        self._idle = asyncio.get_running_loop().call_later(limits.IDLE_SECONDS, self._end_idle)
        return _reply(task, sign, content, self._allowed)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *(str(each) for each in child_limits(self._allowed)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
                limit=MAX_BYTES,
            )
            self._ready = False
            async with asyncio.timeout(limits.START_SECONDS):
                await _read(self._process)
            self._ready = True
        return self._process

    def _end_idle(self) -> None:
        if self._process is not None:
            _end(self._process)

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _end(process)
        await process.wait()


def child_limits(allowed: limits.SandboxLimits) -> tuple[int, int, int]:
    """Return the arguments of the process."""
    return allowed.cpu_seconds, allowed.memory_bytes, allowed.open_files


def _end(process: asyncio.subprocess.Process) -> None:
    """End a process, and those that it started: its session is its own."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _ask(
    process: asyncio.subprocess.Process, place: str, request: Request
) -> tuple[bytes, bytes]:
    if process.stdin is None:
        raise OSError("the process has no pipe")
    process.stdin.write(frame(b"?", place.encode()))
    process.stdin.write(frame(b"?", request.model_dump_json().encode()))
    await process.stdin.drain()
    return await _read(process)


async def _read(process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
    if process.stdout is None:
        raise OSError("the process has no pipe")
    sign, length = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
    if length > MAX_BYTES:
        return b"m", b""
    return sign, await process.stdout.readexactly(length)


def _reply(
    task: SandboxTask[Request, Reply], sign: bytes, content: bytes, allowed: limits.SandboxLimits
) -> Reply:
    match sign:
        case b"+":
            return task.read(content)
        case b"!":
            raise Refusal.model_validate_json(content).error()
        case b"m":
            mebibytes = allowed.memory_bytes // 1024**2
            raise Invalid(f"{allowed.work} needs more than {mebibytes} MiB; {allowed.remedy}")
        case _:
            _log.error("task failed in the sandbox", task=task.place, error=content.decode()[:80])
            raise RuntimeError(f"{task.place} failed in the sandbox")
