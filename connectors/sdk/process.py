"""How a connector runs a local tool: no shell, a fixed environment, bounded output and time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from connectors.sdk.guard import is_reading, refused, trusted_io
from connectors.sdk.http import lost
from connectors.sdk.transport import Access
from orchestrator.domain.errors import ActionError, Rejected

_LAST_MOMENTS_SECONDS = 5.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """How the tool ended: `code` is its exit status, negative for the signal that killed it."""

    code: int
    stdout: bytes
    stderr: bytes


async def run_tool(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    writes: bool,
    access: Access,
    timeout: timedelta = timedelta(seconds=20),  # noqa: ASYNC109  # the tool is killed, not only left
    max_output: int = 4 * 1024 * 1024,
) -> ToolResult:
    """Run it to its end.

    Raises WriteRefused where only reading is allowed, Rejected when it cannot start, and for a tool that does not end or
    floods its output: Unknown after a write, Unavailable after a read.
    """
    if writes and (access is Access.READ or is_reading()):
        raise refused(f"{argv[0]} would change something, and only reading is allowed here")
    with trusted_io():
        process = await _start(argv)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                stdout, stderr = await _talk(
                    process, stdin, max_output, lost(f"{argv[0]} flooded its output", writes=writes)
                )
        except TimeoutError:
            message = f"{argv[0]} did not end within {timeout.total_seconds():g} s"
            raise lost(message, writes=writes) from None
        finally:
            await _end(process)
    return ToolResult(process.returncode if process.returncode is not None else -1, stdout, stderr)


async def _start(argv: Sequence[str]) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=_ENVIRONMENT, start_new_session=True
        )
    except OSError as error:
        message = f"cannot start {argv[0]}: {error.strerror}; install it, or mend its path in the connection"
        raise Rejected(message) from None


async def _talk(
    process: asyncio.subprocess.Process, stdin: bytes, max_output: int, flood: ActionError
) -> tuple[bytes, bytes]:
    """Feeds and drains at once, so that neither side waits for the other."""
    out = asyncio.create_task(_drain(process.stdout, max_output, flood))
    err = asyncio.create_task(_drain(process.stderr, max_output, flood))
    tasks = [
        out,
        err,
        asyncio.create_task(_feed(process.stdin, stdin)),
        asyncio.create_task(_exit(process)),
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return out.result(), err.result()


async def _exit(process: asyncio.subprocess.Process) -> None:
    await process.wait()


async def _feed(stream: asyncio.StreamWriter | None, data: bytes) -> None:
    if stream is None:
        return
    with contextlib.suppress(
        BrokenPipeError, ConnectionResetError
    ):  # it ended early; its exit status tells why
        stream.write(data)
        await stream.drain()
        stream.close()


async def _drain(stream: asyncio.StreamReader | None, max_output: int, flood: ActionError) -> bytes:
    content = bytearray()
    while stream is not None and (piece := await stream.read(65536)):
        content += piece
        if len(content) > max_output:
            raise flood
    return bytes(content)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kills the tool and whatever it started, and empties its pipes: asyncio sees no end of a process before theirs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_MOMENTS_SECONDS):
                await asyncio.gather(
                    _discard(process.stdout), _discard(process.stderr), process.wait()
                )


async def _discard(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(65536):
        pass
