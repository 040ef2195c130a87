"""What keeps a plan from changing anything behind our back: while it reads, only our own transport may reach out.

An audit hook sees each socket that connects, each process and each thread that starts, whatever library asked for it. It
stops mistakes and careless libraries for certain, and hostile code as far as one process can: code that hands work to a
thread that was already there escapes it, which is why a dry run does not load the write credential either.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from orchestrator.domain.errors import Rejected

_reading: ContextVar[bool] = ContextVar("tocsin_reading_only", default=False)
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
    "_thread.start_new_thread": "start a thread",  # audited by newer interpreters only: see _watch_threads
}
_installed = False


class WriteRefused(Rejected):
    """Something tried to change the world, or could have, where only reading is allowed."""


def install_guard() -> None:
    """Install the audit hook, once per process (a hook cannot be taken out again)."""
    global _installed  # noqa: PLW0603  # the interpreter's hooks are just as global
    if not _installed:
        sys.addaudithook(_refuse)
        _watch_threads()
        _installed = True


@contextmanager
def reading_only() -> Iterator[None]:
    """Within: whatever reaches out other than through our transport or `run_tool` raises WriteRefused. Tasks inherit it."""
    install_guard()
    token = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(token)


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
    return _reading.get()


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    deed = _REACHING_OUT.get(event)
    if deed and _reading.get() and not _trusted.get():
        message = f"the connector tried to {deed} by itself while planning; use self.http or run_tool"
        raise WriteRefused(message)


def _watch_threads() -> None:
    """A new thread does not know that its starter may only read, and Python 3.11 audits no thread that starts: ask before."""
    start = threading.Thread.start

    @functools.wraps(start)
    def asked(thread: threading.Thread) -> None:
        _refuse("_thread.start_new_thread", ())
        start(thread)

    threading.Thread.start = asked  # type: ignore[assignment, method-assign]
