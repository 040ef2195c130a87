"""How is SQLite reached without a thread hop per call? On the event loop itself; only what waits for the disk goes to a thread.

SQLAlchemy's aiosqlite dialect makes four hops to a thread for each statement, and a write transaction keeps every other process out
while it hops. A statement of ours takes microseconds, so it runs where it is; the commit, which waits for the disk, runs in a
thread; a lock that another process holds is waited for in short sleeps, not by blocking the loop.
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
_PAUSES = (0.0005, 0.004)  # seconds between two tries for the lock
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a committed intent survives a power cut
    "PRAGMA foreign_keys=ON",
)


async def connect(path: str) -> InLoopConnection:
    """A connection in the shape of aiosqlite's, for SQLAlchemy's `async_creator`. Raises sqlite3.OperationalError."""
    # We say BEGIN ourselves, and the waiting for a lock is ours too.
    raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
    for pragma in _PRAGMAS:
        await _unlocked(lambda pragma=pragma: raw.execute(pragma).close())  # type: ignore[misc]
    return InLoopConnection(raw)


class InLoopConnection:
    """What the dialect asks of a connection."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection | None = (
            raw  # the dialect looks here whether it is open
        )

    @property
    def isolation_level(self) -> str | None:
        """Always None: transactions are begun in so many words."""
        return self._raw.isolation_level

    def cursor(self) -> InLoopCursor:
        """A cursor, to be entered."""
        return InLoopCursor(self._raw.cursor())

    async def commit(self) -> None:
        """In a thread, as it waits until the disk has it."""
        if not self._raw.in_transaction:
            return
        committing = asyncio.ensure_future(asyncio.to_thread(self._raw.commit))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            await asyncio.wait(
                [committing]
            )  # nobody may touch the connection while the thread does
            raise

    async def rollback(self) -> None:
        """At once."""
        self._raw.rollback()

    async def create_function(self, *args: Any, **kw: Any) -> None:
        """Register a function of SQL."""
        self._raw.create_function(*args, **kw)

    async def close(self) -> None:
        """At once; a second time is no harm."""
        self.stop()

    def stop(self) -> None:
        """Close without waiting."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _raw(self) -> sqlite3.Connection:
        if self._connection is None:
            message = "no active connection"  # the words by which the dialect knows
            raise ValueError(message)
        return self._connection


class InLoopCursor:
    """What the dialect asks of a cursor."""

    def __init__(self, raw: sqlite3.Cursor) -> None:
        self._raw = raw
        self.arraysize = 1

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:
        """Of the columns of the last statement."""
        return self._raw.description

    @property
    def rowcount(self) -> int:
        """Of the last statement."""
        return self._raw.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Of the last insert."""
        return self._raw.lastrowid

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> InLoopCursor:
        """Once nobody else holds the lock that it needs. Raises sqlite3.Error."""
        await _unlocked(lambda: self._raw.execute(operation, parameters))
        return self

    async def executemany(
        self, operation: str, parameters: Sequence[Sequence[Any]]
    ) -> InLoopCursor:
        """Like `execute`, once per row."""
        await _unlocked(lambda: self._raw.executemany(operation, parameters))
        return self

    async def fetchall(self) -> list[Any]:
        """All rows."""
        return self._raw.fetchall()

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Some rows."""
        return self._raw.fetchmany(size or self.arraysize)

    async def fetchone(self) -> Any:
        """One row, or None."""
        return self._raw.fetchone()

    async def close(self) -> None:
        """At once."""
        self._raw.close()


async def _unlocked(deed: Callable[[], R]) -> R:
    """Tried until nobody else holds the lock, for at most `BUSY_SECONDS`. A statement that met a lock has done nothing."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return deed()
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
            if not busy or time.monotonic() > deadline:
                raise
        await asyncio.sleep(random.uniform(*_PAUSES))  # noqa: S311 - so that two processes do not wait in step
