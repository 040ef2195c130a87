"""SQLite on the event loop: statements run in place, and only the commit runs in a thread.

Why not aiosqlite alone: it passes each call to a thread, four times for a statement of SQLAlchemy's
dialect, and a write transaction locks out every other process meanwhile. The statements of this
project take microseconds, so they run on the loop. The commit waits for the disk and runs in a
thread. A lock that another process holds is polled with short sleeps, without blocking the loop.
This module has the interface of aiosqlite's connections and cursors, so that SQLAlchemy's dialect
is used unchanged.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

R = TypeVar("R")

BUSY_SECONDS = 30.0
_PAUSES = (0.0005, 0.004)  # seconds between two attempts to get the lock
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a committed intent survives a power cut
    "PRAGMA foreign_keys=ON",
)


async def connect(path: str) -> EventLoopConnection:
    """Return a connection for SQLAlchemy's `async_creator`. Raise sqlite3.OperationalError."""
    # The store begins transactions, and this module waits for locks.
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    for pragma in _PRAGMAS:
        await _retry_while_locked(lambda pragma=pragma: raw.execute(pragma).close())  # type: ignore[misc]
    return EventLoopConnection(raw)


class EventLoopConnection:
    """A connection with the interface that SQLAlchemy's aiosqlite dialect uses."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        # The dialect reads this attribute to learn whether the connection is open.
        self._connection: sqlite3.Connection | None = raw

    @property
    def isolation_level(self) -> str | None:
        """Always None, as transactions are begun explicitly."""
        return self._raw.isolation_level

    def cursor(self) -> EventLoopCursor:
        """Return a cursor, an asynchronous context manager."""
        return EventLoopCursor(self._raw.cursor())

    async def fetch(self, operation: str, parameters: Sequence[Any]) -> list[Any]:
        """Execute a statement once its lock is free, and return its rows. Raise sqlite3.Error."""
        return await _retry_while_locked(
            lambda: self._raw.execute(operation, parameters).fetchall()
        )

    async def executemany(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Execute a statement once per row. Raise sqlite3.Error."""
        await _retry_while_locked(lambda: self._raw.executemany(operation, parameters).close())

    async def commit(self) -> None:
        """Commit in a thread, which waits for the disk."""
        if not self._raw.in_transaction:
            return
        committing = asyncio.ensure_future(asyncio.to_thread(self._raw.commit))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait([committing])  # the thread is still using the connection
            raise

    async def rollback(self) -> None:
        """Roll back."""
        self._raw.rollback()

    async def create_function(self, *args: Any, **kw: Any) -> None:
        """Register an SQL function."""
        self._raw.create_function(*args, **kw)

    async def close(self) -> None:
        """Close; a second call does nothing."""
        self.stop()

    def stop(self) -> None:
        """Close without waiting."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _raw(self) -> sqlite3.Connection:
        if self._connection is None:
            message = "no active connection"  # the text that the dialect recognizes
            raise ValueError(message)
        return self._connection


class EventLoopCursor:
    """A cursor with the interface that SQLAlchemy's aiosqlite dialect uses."""

    def __init__(self, raw: sqlite3.Cursor) -> None:
        self._raw = raw
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """The columns of the last statement."""
        return self._raw.description

    @property
    def rowcount(self) -> int:
        """The number of rows of the last statement."""
        return self._raw.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The row id of the last insert."""
        return self._raw.lastrowid

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> EventLoopCursor:
        """Execute a statement once its lock is free. Raise sqlite3.Error."""
        await _retry_while_locked(lambda: self._raw.execute(operation, parameters))
        return self

    async def executemany(
        self, operation: str, parameters: Sequence[Sequence[Any]]
    ) -> EventLoopCursor:
        """Execute a statement once per row."""
        await _retry_while_locked(lambda: self._raw.executemany(operation, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """Return all rows."""
        return self._raw.fetchall()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return some rows."""
        return self._raw.fetchmany(size or self.arraysize)

    async def fetchone(self) -> Any:
        """Return one row, or None."""
        return self._raw.fetchone()

    async def close(self) -> None:
        """Close."""
        self._raw.close()


async def _retry_while_locked(call: Callable[[], R]) -> R:
    """Retry for at most `BUSY_SECONDS`. A statement that met a lock has done nothing."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > deadline:
                raise
        await asyncio.sleep(random.uniform(*_PAUSES))  # noqa: S311 - jitter, so that two processes do not retry in step
