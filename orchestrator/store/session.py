"""Sessions and transactions on the database: SQLite or PostgreSQL, by its URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from orchestrator.crypto.mac import Authenticator
from orchestrator.store import sqlite_event_loop
from orchestrator.store.authentic import AUTHENTICATOR, REFUSED, VERIFIED
from orchestrator.store.statements.driver import Driver
from orchestrator.store.statements.statement import Statement

EventsHook = Callable[[Sequence[str]], None]
"""What is done about the kinds of audit events that were committed. It raises nothing."""
RefusedHook = Callable[[Sequence[str]], Awaitable[None]]
"""What is done about refused rows, named like `api_keys 0123`. It raises nothing."""

_LIMITS_LOCK = 7_262_011  # an arbitrary key of the advisory lock
_BEGIN = Statement("begin", lambda _: text("BEGIN IMMEDIATE"))
_EVENTS = "event_authenticator"
_RECORDED = "recorded_events"


class Store:
    """The database: SQLite (see `sqlite_event_loop`), or PostgreSQL by asyncpg."""

    def __init__(
        self,
        url: str,
        authenticator: Authenticator | None = None,
        *,
        events: Authenticator | None = None,
    ) -> None:
        """Use the database.

        `authenticator`: of rows; None: their tables are not used. `events`: of audit events; None:
        none are written.
        """
        self.url = url
        self.on_refused: RefusedHook | None = None
        self.on_events: EventsHook | None = None
        self._reported: set[tuple[str, str]] = set()
        self.sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"pool_size": 10, "max_overflow": 10, "pool_pre_ping": True}
        if self.sqlite:
            path = make_url(url).database or ""
            options = {"async_creator": lambda: sqlite_event_loop.connect(path)}
        self.engine: AsyncEngine = create_async_engine(
            url,
            hide_parameters=True,  # an error must not print values into a log
            **options,
        )
        info: dict[str, Any] = {AUTHENTICATOR: authenticator, _EVENTS: events, VERIFIED: {}}
        self.authenticator = authenticator
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info=info)
        # SQLite has one writer: queue here instead of polling its lock.
        self._writer = asyncio.Lock()
        self._reader: sqlite_event_loop.EventLoopConnection | None = None

    @property
    def host(self) -> str | None:
        """The host of the database server; None for SQLite."""
        return make_url(self.url).host

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading, which never writes what its rows are given.

        Raise RowRefused as `orchestrator.store.authentic` says.
        """
        session = self._sessions(autoflush=False)
        try:
            async with session:
                yield session
        finally:
            await self._report(session)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """Open a session for reading, of which all statements see the same moment.

        Raise as `read`. Keep it short: the database keeps what is overwritten meanwhile.
        """
        begin = "BEGIN" if self.sqlite else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
        async with self.read() as session:
            await session.execute(text(begin))
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits when the block ends and rolls back when it raises."""
        session = self._sessions()
        try:
            if not self.sqlite:
                async with session, session.begin():
                    yield session
            else:
                async with self._writer, session, session.begin():
                    await _BEGIN.run(session, {})
                    yield session
            if self.on_events is not None and (kinds := session.info.get(_RECORDED)):
                self.on_events(kinds)
        finally:
            await self._report(session)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Driver]:
        """Open a driver for fixed statements, each of which sees what is committed by then."""
        if not self.sqlite:
            async with self.engine.connect() as connection:
                yield Driver(self.engine.dialect, connection)
            return
        if self._reader is None:
            path = make_url(self.url).database or ""
            self._reader = await sqlite_event_loop.connect(path)
        yield Driver(self.engine.dialect, self._reader)

    async def _report(self, session: AsyncSession) -> None:
        """Hand over rows that were refused in a session, each content once per process."""
        refused = session.info.get(REFUSED)
        if not refused:
            return
        new = {name: mac for name, mac in refused.items() if (name, mac) not in self._reported}
        self._reported.update(new.items())
        if new and self.on_refused is not None:
            await self.on_refused(sorted(new))

    async def serialize_limits(self, session: AsyncSession) -> None:
        """Keep other transactions from counting effects; SQLite does so already."""
        if not self.sqlite:
            await session.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LIMITS_LOCK}
            )

    async def ready(self) -> None:
        """Raise the driver's error where the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        if self._reader is not None:
            await self._reader.close()
            self._reader = None
        await self.engine.dispose()


def event_authenticator(session: AsyncSession) -> Authenticator:
    """Return what authenticates audit events. Raise RuntimeError for a store without keys."""
    found: Authenticator | None = session.info.get(_EVENTS)
    if found is None:
        raise RuntimeError("this store was opened without keys, and cannot write audit events")
    return found


def note_events(session: AsyncSession, kinds: Iterable[str]) -> None:
    """Note the kinds of audit events that a transaction adds, for `Store.on_events`."""
    session.info.setdefault(_RECORDED, []).extend(kinds)


def row_authenticator(session: AsyncSession) -> Authenticator:
    """Return what authenticates rows. Raise RuntimeError for a store without keys."""
    found: Authenticator | None = session.info.get(AUTHENTICATOR)
    if found is None:
        raise RuntimeError("this store was opened without keys, and cannot seal rows")
    return found
