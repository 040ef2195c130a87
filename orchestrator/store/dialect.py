"""The differences of the two databases: `INSERT ... ON CONFLICT`, and locks by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

# A body of thousands of alerts must not exhaust PostgreSQL's lock table.
_BUCKETS = 1024


class Lock(IntEnum):
    """Kinds of locks by name.

    A transaction takes each kind once and in this order, to avoid deadlocks.
    """

    ALERT = 7_262_101
    RUN = 7_262_102
    BATCH = 7_262_107
    SEALER = 7_262_103
    CONFIGURATION = 7_262_104
    CONNECTION = 7_262_106
    TASK = 7_262_105


def insert(session: AsyncSession, table: type[Any]) -> Any:
    """Return an INSERT with ON CONFLICT in the session's dialect.

    Pass its rows separately, `session.execute(statement, rows)`: with rows inside, SQLAlchemy
    compiles the statement each time.
    """
    rows: Any = (
        table.__table__
    )  # the table, so that no objects are made of rows that are only written
    return postgresql.insert(rows) if is_postgresql(session) else sqlite.insert(rows)


def is_postgresql(session: AsyncSession) -> bool:
    """Return whether the session is on PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


async def lock(session: AsyncSession, kind: Lock, names: Iterable[str]) -> None:
    """Lock these names until the transaction ends. SQLite needs no lock, as it has one writer."""
    if not is_postgresql(session):
        return
    buckets = sorted(
        {
            int.from_bytes(hashlib.sha256(name.encode("utf-8", "replace")).digest()[:4], "big")
            % _BUCKETS
            for name in names
        }
    )
    if buckets:
        statement = text(
            "SELECT pg_advisory_xact_lock(:kind, bucket)"
            " FROM unnest(CAST(:buckets AS int[])) AS bucket"
        )
        await session.execute(statement, {"kind": int(kind), "buckets": buckets})
