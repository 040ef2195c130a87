"""Where do the two databases differ? `INSERT ... ON CONFLICT`, and locks by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

_BUCKETS = 1024  # a body of thousands of alerts must not use up PostgreSQL's table of locks


class Lock(IntEnum):
    """What is locked by name. Within one transaction take them in this order, each kind once, so that none waits in a ring."""

    ALERT = 7_262_101
    RUN = 7_262_102
    SEALER = 7_262_103
    CONFIGURATION = 7_262_104
    TASK = 7_262_105


def insert(session: AsyncSession, table: type[Any]) -> Any:
    """An INSERT that knows ON CONFLICT, in the session's own dialect.

    Give its rows beside it, `session.execute(statement, rows)`: with rows inside, SQLAlchemy compiles it anew each time.
    """
    rows: Any = table.__table__  # the table itself: no objects are made of what is only written
    return postgresql.insert(rows) if is_postgresql(session) else sqlite.insert(rows)


def is_postgresql(session: AsyncSession) -> bool:
    """Whether the session is on PostgreSQL."""
    return session.get_bind().dialect.name == "postgresql"


async def lock(session: AsyncSession, kind: Lock, names: Iterable[str]) -> None:
    """Until this transaction ends, nobody else holds these names. SQLite: true already, as it has one writer."""
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
        taken = text(
            "SELECT pg_advisory_xact_lock(:kind, bucket) FROM unnest(CAST(:buckets AS int[])) AS bucket"
        )
        await session.execute(taken, {"kind": int(kind), "buckets": buckets})
