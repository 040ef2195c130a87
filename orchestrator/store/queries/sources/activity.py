"""Queries on the counts of deliveries by source and day."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import SourceDayRow

Outcome = Literal["accepted", "duplicates", "unreadable", "partial", "refused"]
_OUTCOMES: tuple[Outcome, ...] = ("accepted", "duplicates", "unreadable", "partial", "refused")


class SourceActivity(NamedTuple):
    """What a source sent over some days."""

    accepted: int = 0
    duplicates: int = 0
    unreadable: int = 0
    partial: int = 0
    refused: int = 0
    last_at: datetime | None = None
    unreadable_at: datetime | None = None

    @property
    def deliveries(self) -> int:
        """How many requests proved their source, without telemetry."""
        return self.accepted + self.duplicates + self.unreadable - self.partial


async def count(
    session: AsyncSession,
    source: str,
    outcomes: AbstractSet[Outcome],
    now: datetime,
    times: int = 1,
) -> None:
    """Count a delivery under each of its outcomes, once or several times."""
    row: dict[str, Any] = {"source": source, "day": now.date(), "last_at": now}
    row |= {name: times if name in outcomes else 0 for name in _OUTCOMES}
    row["unreadable_at"] = now if "unreadable" in outcomes else None
    again: dict[str, Any] = {name: getattr(SourceDayRow, name) + times for name in outcomes}
    again |= {"last_at": now}
    again |= {"unreadable_at": now} if "unreadable" in outcomes else {}
    statement = insert(session, SourceDayRow).on_conflict_do_update(
        index_elements=["source", "day"], set_=again
    )
    await session.execute(statement, row)


async def by_source(session: AsyncSession, since: date) -> dict[str, SourceActivity]:
    """Return what each source sent since a day."""
    rows = await session.execute(
        select(
            col(SourceDayRow.source),
            *(func.sum(getattr(SourceDayRow, name)) for name in _OUTCOMES),
            func.max(col(SourceDayRow.last_at)),
            func.max(col(SourceDayRow.unreadable_at)),
        )
        .where(col(SourceDayRow.day) >= since)
        .group_by(col(SourceDayRow.source))
    )
    found: dict[str, SourceActivity] = {}
    for source, accepted, duplicates, unreadable, partial, refused, *times in rows:
        found[source] = SourceActivity(
            int(accepted), int(duplicates), int(unreadable), int(partial), int(refused), *times
        )
    return found


async def forget(session: AsyncSession, before: date) -> None:
    """Delete the counts of days before a day."""
    await session.execute(delete(SourceDayRow).where(col(SourceDayRow.day) < before))
