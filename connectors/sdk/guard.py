"""The write guard: during a read, nothing but the connection's own transport may connect.

A plan, a lookup or a verification must not change a system, whatever code the connector runs. The
guard installs one audit hook per process (PEP 578). The hook sees every socket that connects and
every process and thread that starts, from any library. A context variable says whether the current
task reads; another says that the SDK's own transport is at work. Each attempt is recorded outside
the connector's reach, so that a connector that swallows the exception still fails.

Limits: it stops mistakes and careless libraries for certain, and hostile code as far as one
process can. Not stopped: code that ran when its module was imported; code that alters the context
variables below or runs in an empty `contextvars.Context()`; a request that the connector's own
`is_read` calls a read; files on this machine. That is why a dry run does not load the write
credential either.

Why not a library: `pytest-socket` and its like replace `socket.socket` for a whole process; they
cannot restrict one task of an event loop, and see no child process. A sandbox that does more (a
process per call under seccomp, a WASM runtime) costs a process start per call and rules out local
tools such as `nft`. The interpreter's audit hook sees every library and needs no dependency.
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

MAX_ATTEMPTS = 20
"""Attempts recorded per call; an endless loop of attempts adds no information."""


@dataclass(frozen=True, slots=True)
class ReadOnlyCall:
    """A call that may only read."""

    transport: object | None = None
    """The only transport that may send for it; None allows any of the SDK's."""
    attempts: list[str] = field(default_factory=list)
    """What was refused."""


_read_only_call: ContextVar[ReadOnlyCall | None] = ContextVar("tocsin_reading_only", default=None)
_trusted: ContextVar[bool] = ContextVar("tocsin_trusted_io", default=False)

_GUARDED_EVENTS = {
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
    "ctypes.dlopen": "load a native library",
    "ctypes.dlsym": "call a native library",
    "_thread.start_new_thread": "start a thread",  # not audited by Python 3.11: see _patch_starts
    "_thread.start_joinable_thread": "start a thread",
}
_installed = False


class WriteRefused(Rejected):
    """An attempt to write, or one that could have written, where only reads are allowed."""


def install_guard() -> None:
    """Install the audit hook, once per process. A hook cannot be removed."""
    global _installed  # noqa: PLW0603  # as global as the interpreter's hooks
    if not _installed:
        sys.addaudithook(_refuse)
        _patch_starts()
        _patch_thread_pools()
        _installed = True


@contextmanager
def reading_only(transport: object | None = None) -> Iterator[ReadOnlyCall]:
    """Refuse everything in this context that does not go through the transport or `run_tool`.

    Tasks inherit the restriction. Raises WriteRefused at the end when something was refused, even
    if the connector swallowed that exception.
    """
    install_guard()
    reading = ReadOnlyCall(transport)
    token = _read_only_call.set(reading)
    try:
        yield reading
    except (Exception, asyncio.CancelledError):
        # Cancellation included: a connector must not hide an attempt by waiting indefinitely.
        if not reading.attempts:  # else the error below names all attempts
            raise
    finally:
        _read_only_call.reset(token)
    if reading.attempts:
        message = f"the connector attempted a write during a read: {'; '.join(reading.attempts)}"
        raise WriteRefused(message)


@contextmanager
def trusted_io() -> Iterator[None]:
    """Mark this context as the SDK's transport, which has checked the request."""
    token = _trusted.set(True)
    try:
        yield
    finally:
        _trusted.reset(token)


def is_reading() -> bool:
    """Return whether the current context may only read."""
    return _read_only_call.get() is not None


def is_trusted() -> bool:
    """Return whether the current context is the SDK's transport."""
    return _trusted.get()


def is_transport_of_call(transport: object) -> bool:
    """Return whether the transport may send: during a read, only the connection's own may."""
    reading = _read_only_call.get()
    return reading is None or reading.transport is None or reading.transport is transport


def refusal(attempt: str) -> WriteRefused:
    """Record the attempt and return the exception to raise."""
    reading = _read_only_call.get()
    if (
        reading is not None
        and attempt not in reading.attempts
        and len(reading.attempts) < MAX_ATTEMPTS
    ):
        reading.attempts.append(attempt)
    return WriteRefused(attempt)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    attempt = _GUARDED_EVENTS.get(event)
    if attempt and _read_only_call.get() is not None and not _trusted.get():
        raise refusal(f"{attempt}; use self.http or run_tool")


def _patch_starts() -> None:
    """Check what Python 3.11 does not audit: thread starts and the forks of `multiprocessing`.

    A new thread has an empty context, so it cannot know that its starter may only read.
    """
    for module, name, event in (
        (threading, "_start_new_thread", "_thread.start_new_thread"),  # `threading.Thread` calls it
        (_thread, "start_new_thread", "_thread.start_new_thread"),
        (_thread, "start_new", "_thread.start_new_thread"),
        (_posixsubprocess, "fork_exec", "subprocess.Popen"),
    ):
        if (start := getattr(module, name, None)) is not None:
            setattr(module, name, _checked(start, event))


def _checked(start: Callable[..., Any], event: str) -> Callable[..., Any]:
    @functools.wraps(start)
    def check_and_start(*arguments: Any, **named: Any) -> Any:
        _refuse(event, ())
        return start(*arguments, **named)

    return check_and_start


def _patch_thread_pools() -> None:
    """Run a pool's work in the submitter's context, so that the restriction applies to it."""
    submit: Any = ThreadPoolExecutor.submit

    @functools.wraps(submit)
    def submit_in_context(
        pool: ThreadPoolExecutor, work: Any, /, *arguments: Any, **named: Any
    ) -> Any:
        if _read_only_call.get() is None:
            return submit(pool, work, *arguments, **named)
        return submit(pool, copy_context().run, work, *arguments, **named)

    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[method-assign, assignment]
