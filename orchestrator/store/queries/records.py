"""What is configured: sources, connections, keys, policies, switches, playbook versions, assets; one statement each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    AssetRow,
    ConnectionRow,
    KillSwitchRow,
    PlaybookRow,
    PolicyRow,
    SignatureRow,
    SourceRow,
)

R = TypeVar("R", bound=SQLModel)
_MOST = 500  # rows in one statement


async def one(session: AsyncSession, table: type[R], key: Any) -> R | None:
    """The row with this primary key."""
    return await session.get(table, key)


async def every(session: AsyncSession, table: type[R]) -> list[R]:
    """All rows, by primary key."""
    keys = [col(getattr(table, column.name)) for column in table.__table__.primary_key]  # type: ignore[attr-defined]
    return list(await session.scalars(select(table).order_by(*keys)))


async def names_of(session: AsyncSession, scope: str) -> set[str] | None:
    """What things are called that a switch of this scope can be about; a connection goes by its connector too. None: by no name."""
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


async def put(session: AsyncSession, row: SQLModel) -> None:
    """Insert, or replace what has this primary key."""
    await session.merge(row)


async def put_assets(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or replace thousands at once."""
    for start in range(0, len(rows), _MOST):
        added = insert(session, AssetRow).values(rows[start : start + _MOST])
        fresh = {name: added.excluded[name] for name in ("kind", "critical", "tags", "short")}
        await session.execute(
            added.on_conflict_do_update(index_elements=["type", "value"], set_=fresh)
        )


async def add(session: AsyncSession, row: SQLModel) -> None:
    """Insert. Raises IntegrityError where the key is taken."""
    session.add(row)
    await session.flush()


async def remove(session: AsyncSession, row: SQLModel) -> None:
    """Delete."""
    await session.delete(row)


async def lift(session: AsyncSession, scope: str, name: str) -> bool:
    """Whether there was such a kill switch."""
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
    """0 where none was published."""
    return int(await session.scalar(select(func.max(PolicyRow.version))) or 0)


async def versions(session: AsyncSession, name: str) -> list[PlaybookRow]:
    """All versions of a playbook, newest first."""
    return list(
        await session.scalars(
            select(PlaybookRow)
            .where(col(PlaybookRow.name) == name)
            .order_by(col(PlaybookRow.version).desc())
        )
    )


async def signatures_of(session: AsyncSession, name: str, version: int) -> list[SignatureRow]:
    """What people signed, the author first."""
    wanted = select(SignatureRow).where(
        col(SignatureRow.name) == name, col(SignatureRow.version) == version
    )
    return list(
        await session.scalars(wanted.order_by(col(SignatureRow.role), col(SignatureRow.person)))
    )
