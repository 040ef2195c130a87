"""The process of a sandbox: `python -m orchestrator.sandbox.child CPU_SECONDS MEMORY OPEN_FILES`.

It is started with an empty environment and no open file but its pipes, lowers its own limits before
it reads anything, and answers one task after another. The process that started it waits with a time
limit, and kills it when it is over.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import resource
import sys
from typing import Any, BinaryIO

from pydantic import TypeAdapter

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.sandbox.frames import HEAD, Sign, frame
from orchestrator.sandbox.task import Refusal, SandboxTask


def main() -> None:
    """Answer tasks until the pipe closes."""
    cpu_seconds, memory_bytes, open_files = map(int, sys.argv[1:])
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    _lower_limits(memory_bytes, open_files)
    replies.write(frame(b"+", b""))  # ready
    replies.flush()
    while (place := _read(sys.stdin.buffer)) is not None:
        _allow_cpu_seconds(cpu_seconds)
        request = _read(sys.stdin.buffer)
        sign, content = _answer(place.decode(), request or b"")
        replies.write(frame(sign, content))
        replies.flush()


def _answer(place: str, request: bytes) -> tuple[Sign, bytes]:
    try:
        task = _task(place)
        reply = task.function(task.request.model_validate_json(request))
        if inspect.iscoroutine(reply):
            reply = asyncio.run(reply)
        return b"+", TypeAdapter(task.reply).dump_json(reply)
    except (Invalid, Unavailable) as error:
        return b"!", Refusal.of(error).model_dump_json().encode()
    except (MemoryError, RecursionError):
        return b"m", b""
    except Exception as error:  # noqa: BLE001 - the type alone: its text may hold the client's
        return b"x", type(error).__name__.encode()


def _task(place: str) -> SandboxTask[Any, Any]:
    module, _, name = place.partition(":")
    found = getattr(importlib.import_module(module), name)
    if not isinstance(found, SandboxTask):
        raise TypeError(place)
    return found


def _lower_limits(memory_bytes: int, open_files: int) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _allow_cpu_seconds(seconds: int) -> None:
    """Let the kernel end this process, should the one that waits for it be gone."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    allowed = int(usage.ru_utime + usage.ru_stime) + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


def _read(pipe: BinaryIO) -> bytes | None:
    head = pipe.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    return pipe.read(HEAD.unpack(head)[1])


if __name__ == "__main__":
    main()
