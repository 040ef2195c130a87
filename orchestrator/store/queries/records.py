"""Queries by primary key, and single statements on configured records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import delete, func, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from orchestrator.store.tables import (
    ConnectionRow,
    KillSwitchRow,
    PlaybookRow,
    PolicyRow,
    SignatureRow,
    SourceRow,
)

R = TypeVar("R", bound=SQLModel)


async def get(session: AsyncSession, table: type[R], key: Any) -> R | None:
    """Return the row with this primary key."""
    return await session.get(table, key)


async def list_all(session: AsyncSession, table: type[R]) -> list[R]:
    """Return all rows by primary key."""
    keys = [col(getattr(table, column.name)) for column in table.__table__.primary_key]  # type: ignore[attr-defined]
    return list(await session.scalars(select(table).order_by(*keys)))


async def names_in_scope(session: AsyncSession, scope: str) -> set[str] | None:
    """Return the names that a kill switch of this scope can have; None: the scope has no names.

    A connection can be named by its connector too.
    """
    columns = {
        "connection": (ConnectionRow.name, ConnectionRow.connector),
        "playbook": (PlaybookRow.name,),
        "source": (SourceRow.name,),
    }.get(scope)
    if columns is None:
        return None
    return {
        name for column in columns for name in await session.scalars(select(col(column)).distinct())
    }


async def upsert(session: AsyncSession, row: SQLModel) -> None:
    """Insert a row, or replace the one with its primary key, even one that is refused."""
    mapper = inspect(type(row))
    key = mapper.primary_key_from_instance(row)
    if await session.get(type(row), tuple(key)) is None:
        columns = [column == value for column, value in zip(mapper.primary_key, key, strict=True)]
        await session.execute(delete(type(row)).where(*columns))
    await session.merge(row)


async def add(session: AsyncSession, row: SQLModel) -> None:
    """Insert a row. Raise IntegrityError where its key exists."""
    session.add(row)
    await session.flush()


async def remove_older(session: AsyncSession, table: type[R], moment: datetime) -> None:
    """Delete the rows that were created before the moment."""
    await session.execute(delete(table).where(col(getattr(table, "created_at")) < moment))  # noqa: B009


async def remove(session: AsyncSession, row: SQLModel) -> None:
    """Delete a row."""
    await session.delete(row)


async def remove_kill_switch(session: AsyncSession, scope: str, name: str) -> bool:
    """Delete a kill switch. Return whether it existed."""
    found = await session.get(KillSwitchRow, (scope, name))
    if found is None:
        return False
    await session.execute(
        delete(KillSwitchRow).where(
            col(KillSwitchRow.scope) == scope, col(KillSwitchRow.name) == name
        )
    )
    return True


async def newest_policy_version(session: AsyncSession) -> int:
    """Return the version of the newest policy; 0 where none was published."""
    return int(await session.scalar(select(func.max(PolicyRow.version))) or 0)


async def versions(session: AsyncSession, name: str) -> list[PlaybookRow]:
    """Return all versions of a playbook, newest first."""
    return list(
        await session.scalars(
            select(PlaybookRow)
            .where(col(PlaybookRow.name) == name)
            .order_by(col(PlaybookRow.version).desc())
        )
    )


async def set_aside(session: AsyncSession) -> list[PlaybookRow]:
    """Return the versions whose trigger exceeded its budget."""
    wanted = select(PlaybookRow).where(col(PlaybookRow.set_aside_at).is_not(None))
    return list(
        await session.scalars(wanted.order_by(col(PlaybookRow.name), col(PlaybookRow.version)))
    )


async def signatures_of(session: AsyncSession, name: str, version: int) -> list[SignatureRow]:
    """Return the signatures of a playbook version, the author's first."""
    wanted = select(SignatureRow).where(
        col(SignatureRow.name) == name, col(SignatureRow.version) == version
    )
    return list(
        await session.scalars(wanted.order_by(col(SignatureRow.role), col(SignatureRow.person)))
    )
