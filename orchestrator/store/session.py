"""How the database is reached: one engine, and transactions that are serialized where it tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from orchestrator.store import sqlite_event_loop

_LIMITS_LOCK = 7_262_011  # an arbitrary number that names the advisory lock


class Store:
    """The database: SQLite on the event loop (see `in_loop`), or PostgreSQL through asyncpg, by its URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqlite = url.startswith("sqlite")
        options: dict[str, Any] = {"pool_size": 10, "max_overflow": 10, "pool_pre_ping": True}
        if self.sqlite:
            path = make_url(url).database or ""
            options = {"async_creator": lambda: sqlite_event_loop.connect(path)}
        self.engine: AsyncEngine = create_async_engine(url, **options)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._writer = (
            asyncio.Lock()
        )  # SQLite has one writer: queue here rather than spin on its busy lock

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading."""
        async with self._sessions() as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A transaction: committed when the block ends, rolled back when it raises."""
        if not self.sqlite:
            async with self._sessions.begin() as session:
                yield session
            return
        async with self._writer, self._sessions.begin() as session:
            await session.execute(text("BEGIN IMMEDIATE"))
            yield session

    async def serialize_limits(self, session: AsyncSession) -> None:
        """Within a write: nobody else counts effects until this transaction ends (SQLite: true already)."""
        if not self.sqlite:
            await session.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LIMITS_LOCK}
            )

    async def ready(self) -> None:
        """Raises whatever the database raises when it does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
