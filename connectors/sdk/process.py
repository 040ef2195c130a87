"""Running a local tool: no shell, a fixed environment, bounded output and time.

Standard input is written and both output streams are read at once, so that neither side waits for
the other. A tool that exceeds its time or output is killed together with the processes it started,
and its pipes are drained, because asyncio does not report the end of a process before theirs.

Why not a library: `communicate()` of asyncio has no limit for output, and on a timeout it leaves
the tool and its children running. `anyio.run_process` and `sh` buffer without a limit as well, and
none of them distinguishes a tool that reads from one that writes, which the write guard needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from connectors.sdk.guard import is_reading, refusal, trusted_io
from connectors.sdk.http import lost_reply
from connectors.sdk.transport import Access
from orchestrator.domain.errors import ActionError, Rejected

_KILL_GRACE_SECONDS = 5.0
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool."""

    code: int
    """Exit status, or the negative number of the signal that killed it."""
    stdout: bytes
    stderr: bytes


async def run_tool(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    writes: bool,
    access: Access,
    timeout: timedelta = timedelta(seconds=20),  # noqa: ASYNC109  # the tool is killed, too
    max_output: int = 4 * 1024 * 1024,
) -> ToolResult:
    """Run a tool and return its result; a non-zero exit status is not an error.

    `writes` says whether the command changes something. `max_output` limits each stream, in bytes.
    Raises WriteRefused for a write during a read and Rejected when the tool cannot start. When it
    exceeds its time or output: Unknown for a write, else Unavailable.
    """
    if writes and (access is Access.READ or is_reading()):
        raise refusal(f"run {argv[0]} to write, and only reads are allowed here")
    with trusted_io():
        process = await _start(argv)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                stdout, stderr = await _talk(
                    process,
                    stdin,
                    max_output,
                    lost_reply(f"{argv[0]} wrote more than {max_output} bytes", writes=writes),
                )
        except TimeoutError:
            message = f"{argv[0]} did not end within {timeout.total_seconds():g} s"
            raise lost_reply(message, writes=writes) from None
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
        message = (
            f"cannot start {argv[0]}: {error.strerror}; "
            "install it, or fix its path in the connection"
        )
        raise Rejected(message) from None


async def _talk(
    process: asyncio.subprocess.Process, stdin: bytes, max_output: int, excess: ActionError
) -> tuple[bytes, bytes]:
    """Write the input and read both outputs at once."""
    out = asyncio.create_task(_drain(process.stdout, max_output, excess))
    err = asyncio.create_task(_drain(process.stderr, max_output, excess))
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
    # A tool that ends early closes its input; its exit status tells why.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
        stream.close()


async def _drain(
    stream: asyncio.StreamReader | None, max_output: int, excess: ActionError
) -> bytes:
    content = bytearray()
    while stream is not None and (piece := await stream.read(65536)):
        content += piece
        if len(content) > max_output:
            raise excess
    return bytes(content)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the tool and its children if it still runs, and drain its pipes."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # the tool leads a session of its own
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_KILL_GRACE_SECONDS):
                await asyncio.gather(
                    _discard(process.stdout), _discard(process.stderr), process.wait()
                )


async def _discard(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(65536):
        pass
