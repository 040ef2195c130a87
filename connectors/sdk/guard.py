"""What keeps a plan from changing anything behind our back: while it reads, only our own transport may reach out.

An audit hook sees each socket that connects, each process and each thread that starts, whatever library asked for it. It
stops mistakes and careless libraries for certain, and hostile code as far as one process can. What escapes it: code that ran before,
when its module was imported (it may have left a thread that takes work, or hold what `ctypes` found); code that looks up the context
variables below and alters them, or takes an empty context (`contextvars.Context()`); a request that the connector's own `is_read`
calls a read; files of this machine. This is why a dry run does not load the write credential either.

Each attempt is noted where the connector cannot take it back: an exception that it swallows fails the call all the same.
"""

from __future__ import annotations

import _posixsubprocess
import _thread
import asyncio
import functools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domain.errors import Rejected

MOST_ATTEMPTS = 20
"""Attempts that are told of one call; code that tries without end says nothing new."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A call that may only read. `way_out`: the one transport that may send for it; None: any of ours. `attempts`: what was refused."""

    way_out: object | None = None
    attempts: list[str] = field(default_factory=list)


_reading: ContextVar[Reading | None] = ContextVar("tocsin_reading_only", default=None)
_trusted: ContextVar[bool] = ContextVar("tocsin_trusted_io", default=False)

_REACHING_OUT = {
    "socket.connect": "connect a socket",
    "socket.sendto": "send a datagram",
    "socket.sendmsg": "send a datagram",
    "subprocess.Popen": "start a process",
    "os.system": "start a process",
    "os.exec": "start a process",
    "os.fork": "start a process",
    "os.forkpty": "start a process",
    "os.posix_spawn": "start a process",
    "os.spawn": "start a process",
    "pty.spawn": "start a process",
    "os.kill": "signal a process",
    "os.killpg": "signal a process",
    "ctypes.dlopen": "load a library past Python",
    "ctypes.dlsym": "call a library past Python",
    "_thread.start_new_thread": "start a thread",  # audited by newer interpreters only: see _watch_starts
    "_thread.start_joinable_thread": "start a thread",
}
_installed = False


class WriteRefused(Rejected):
    """Something tried to change the world, or could have, where only reading is allowed."""


def install_guard() -> None:
    """Install the audit hook, once per process (a hook cannot be taken out again)."""
    global _installed  # noqa: PLW0603  # the interpreter's hooks are just as global
    if not _installed:
        sys.addaudithook(_refuse)
        _watch_starts()
        _watch_pools()
        _installed = True


@contextmanager
def reading_only(way_out: object | None = None) -> Iterator[Reading]:
    """Within: whatever reaches out other than through our transport or `run_tool` raises WriteRefused. Tasks inherit it.

    Raises WriteRefused at its end where something was refused meanwhile, whatever became of that exception.
    """
    install_guard()
    reading = Reading(way_out)
    token = _reading.set(reading)
    try:
        yield reading
    except (
        Exception,
        asyncio.CancelledError,
    ):  # also when it was cancelled: to wait for ever after an attempt must not hide it
        if not reading.attempts:  # else it is said below, with all that was tried
            raise
    finally:
        _reading.reset(token)
    if reading.attempts:
        message = f"the connector tried to change something where it may only read: {'; '.join(reading.attempts)}"
        raise WriteRefused(message)


@contextmanager
def trusted_io() -> Iterator[None]:
    """Within: our own transport is at work, which has judged the request already."""
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def is_reading() -> bool:
    """Whether only reading is allowed at this moment."""
    return _reading.get() is not None


def is_trusted() -> bool:
    """Whether our own transport is at work at this moment."""
    return _trusted.get()


def is_the_way_out(transport: object) -> bool:
    """Whether this transport may send now. While reading, one that the connector made for itself may not, whatever it calls a read."""
    reading = _reading.get()
    return reading is None or reading.way_out is None or reading.way_out is transport


def refused(attempt: str) -> WriteRefused:
    """The refusal to raise; it is noted."""
    reading = _reading.get()
    if (
        reading is not None
        and attempt not in reading.attempts
        and len(reading.attempts) < MOST_ATTEMPTS
    ):
        reading.attempts.append(attempt)
    return WriteRefused(attempt)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    deed = _REACHING_OUT.get(event)
    if deed and _reading.get() is not None and not _trusted.get():
        raise refused(f"it tried to {deed} by itself; use self.http or run_tool")


def _watch_starts() -> None:
    """What Python 3.11 starts without a word: a thread, which does not know that its starter may only read, and `multiprocessing`."""
    for module, name, event in (
        (
            threading,
            "_start_new_thread",
            "_thread.start_new_thread",
        ),  # by which every `threading.Thread` starts
        (_thread, "start_new_thread", "_thread.start_new_thread"),
        (_thread, "start_new", "_thread.start_new_thread"),
        (_posixsubprocess, "fork_exec", "subprocess.Popen"),
    ):
        if (start := getattr(module, name, None)) is not None:
            setattr(module, name, _asking(start, event))


def _asking(start: Callable[..., Any], event: str) -> Callable[..., Any]:
    @functools.wraps(start)
    def asked(*given: Any, **named: Any) -> Any:
        _refuse(event, ())
        return start(*given, **named)

    return asked


def _watch_pools() -> None:
    """A pool's thread that was there already does not know either who hands it work: the work brings that along."""
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def told(pool: ThreadPoolExecutor, work: Any, /, *given: Any, **named: Any) -> Any:
        if _reading.get() is None:
            return submit(pool, work, *given, **named)
        return submit(pool, copy_context().run, work, *given, **named)

    ThreadPoolExecutor.submit = told  # type: ignore[method-assign, assignment]
