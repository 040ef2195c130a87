"""Pages of the ids of what is old enough to be looked at, each in the order of an index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.search.conditions import in_order
from orchestrator.store.search.filters import Order
from orchestrator.store.tables import (
    AlertRow,
    IncidentRow,
    NotificationRow,
    PlaybookRow,
    RejectedRow,
    RunRow,
    SourceRow,
)

Place = tuple[datetime, str]
"""Where a page ended: the time and the id of its last row."""
Member = tuple[str, str]
"""The id of an incident, and that of a run or an alert of it."""


async def incidents_before(
    session: AsyncSession, before: datetime, after: Place | None, limit: int
) -> list[Place]:
    """Return incidents that were opened before a moment, the oldest first."""
    return await _page(session, IncidentRow.opened_at, IncidentRow.id, before, after, limit)


async def runs_before(
    session: AsyncSession, before: datetime, after: Place | None, limit: int
) -> list[Place]:
    """Return runs that ended before a moment, the oldest first."""
    return await _page(session, RunRow.ended_at, RunRow.id, before, after, limit)


async def notifications_before(
    session: AsyncSession, before: datetime, after: Place | None, limit: int
) -> list[Place]:
    """Return notifications that were created before a moment, the oldest first."""
    return await _page(
        session, NotificationRow.created_at, NotificationRow.id, before, after, limit
    )


async def deliveries_before(
    session: AsyncSession, before: datetime, after: Place | None, limit: int
) -> list[Place]:
    """Return rejected deliveries that were last seen before a moment, the oldest first."""
    return await _page(session, RejectedRow.last_seen_at, RejectedRow.id, before, after, limit)


async def runs_of_incidents(
    session: AsyncSession, incident_ids: Sequence[str], after: Member | None, limit: int
) -> list[Member]:
    """Return incident and id of the runs of incidents, in that order."""
    return await _members(session, RunRow.incident_id, RunRow.id, incident_ids, after, limit)


async def alerts_of_incidents(
    session: AsyncSession, incident_ids: Sequence[str], after: Member | None, limit: int
) -> list[Member]:
    """Return incident and id of the alerts of incidents, in that order."""
    return await _members(session, AlertRow.incident_id, AlertRow.id, incident_ids, after, limit)


async def longest_trigger_window(session: AsyncSession) -> tuple[str, int, int] | None:
    """Return the playbook version with the longest `within` of `once_per`, and it in seconds."""
    within = col(PlaybookRow.plan)["trigger"]["within"].as_integer()
    columns: Any = (col(PlaybookRow.name), col(PlaybookRow.version), within.label("within"))
    longest = select(*columns).where(within.is_not(None)).order_by(within.desc()).limit(1)
    row = (await session.execute(longest)).first()
    return (row[0], int(row[1]), int(row[2])) if row else None


async def longest_correlation(session: AsyncSession) -> int:
    """Return the longest time in seconds within which a source's alerts join an incident."""
    return int(await session.scalar(select(func.max(col(SourceRow.correlate_within)))) or 0)


async def _page(
    session: AsyncSession,
    moment: Any,
    id_: Any,
    before: datetime,
    after: Place | None,
    limit: int,
) -> list[Place]:
    old = select(col(moment), col(id_)).where(col(moment) < before)
    page = in_order(old, col(moment), col(id_), after, limit, Order.OLDEST)
    return [(row[0], row[1]) for row in await session.execute(page)]


async def _members(
    session: AsyncSession,
    incident: Any,
    id_: Any,
    incident_ids: Sequence[str],
    after: Member | None,
    limit: int,
) -> list[Member]:
    wanted = select(col(incident), col(id_)).where(col(incident).in_(incident_ids))
    if after is not None:
        wanted = wanted.where(tuple_(col(incident), col(id_)) > tuple_(*after))
    rows = await session.execute(wanted.order_by(col(incident), col(id_)).limit(limit))
    return [(row[0], row[1]) for row in rows]
