"""Queries for the rotation of keys: which rows an older key has sealed, and locks around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from orchestrator.store.dialect import is_postgresql
from orchestrator.store.tables import AuditEventRow, AuditQuarantineRow, AuditSealRow

R = TypeVar("R", bound=SQLModel)
Row = SQLModel
Table = type[SQLModel]
PrimaryKey = tuple[Any, ...]


async def primary_keys(session: AsyncSession, table: Table) -> list[PrimaryKey]:
    """Return the primary keys of all rows, of refused ones too."""
    found = _select(table).order_by(*_key_columns(table))
    rows = await session.execute(found)
    return [tuple(row) for row in rows]


async def tagged_by_others(session: AsyncSession, table: Table, key_id: str) -> list[PrimaryKey]:
    """Return the primary keys of rows whose tag another key than this one has made."""
    mac = col(table.mac)  # type: ignore[attr-defined]
    found = _select(table).where(~mac.startswith(f"1:{key_id}:", autoescape=True))
    return [tuple(row) for row in await session.execute(found.order_by(*_key_columns(table)))]


async def load(session: AsyncSession, table: type[R], key: PrimaryKey) -> R | None:
    """Return a row for an update; None where it is gone or refused."""
    return await session.get(table, key, with_for_update=True)


async def unsealed_events_of_others(session: AsyncSession, key_id: str) -> int:
    """Return how many events wait for their place in the trail with the tag of another key."""
    number, mac = col(AuditEventRow.number), col(AuditEventRow.mac)
    found: Any = select(func.count()).where(
        ~mac.startswith(f"1:{key_id}:", autoescape=True),
        number.not_in(select(col(AuditSealRow.event_number))),
        number.not_in(select(col(AuditQuarantineRow.event_number))),
    )
    return int(await session.scalar(found) or 0)


async def wait_for_writers(session: AsyncSession, tables: Sequence[Table]) -> None:
    """Return when no other transaction has written to these tables, and keep others from it."""
    if is_postgresql(session):
        names = ", ".join(f'"{table.__tablename__}"' for table in tables)
        await session.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))


def _select(table: Table) -> Any:
    columns: Any = _key_columns(table)
    return select(*columns)


def _key_columns(table: Table) -> list[Any]:
    return [col(getattr(table, column.name)) for column in inspect(table).primary_key]
