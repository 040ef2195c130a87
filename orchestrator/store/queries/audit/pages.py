"""Pages of audit events, by what a reader filters."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind, StoredEvent, canonical_time
from orchestrator.store.audit_events import EVENT_COLUMNS, stored_event
from orchestrator.store.search.filters import Names
from orchestrator.store.search.named import subjects_of
from orchestrator.store.tables import AuditEventRow, AuditSealRow


async def page(
    session: AsyncSession,
    *,
    before: int | None,
    limit: int,
    subject: str | None = None,
    subjects: Collection[str] = (),
    kind: EventKind | None = None,
    actor: str | None = None,
    observable: Names | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    oldest_first: bool = False,
) -> list[tuple[int | None, StoredEvent]]:
    """Return events after the one of a number, newest first, with their places in the chain.

    Those of a period are in the order of their times, which its index has; others in that of
    writing. `oldest_first`: the other way round.
    """
    query = select(*EVENT_COLUMNS, col(AuditSealRow.seq)).outerjoin(
        AuditSealRow, col(AuditSealRow.event_number) == col(AuditEventRow.number)
    )
    number, time = col(AuditEventRow.number), col(AuditEventRow.time)
    in_period = since is not None or until is not None
    if before is not None:
        following = number > before if oldest_first else number < before
        query = query.where(_after(before, oldest_first=oldest_first) if in_period else following)
    for column, value in (
        (AuditEventRow.subject, subject),
        (AuditEventRow.kind, kind.value if kind else None),
        (AuditEventRow.actor, actor),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if subjects:
        query = query.where(col(AuditEventRow.subject).in_(subjects))
    if observable is not None:
        query = query.where(col(AuditEventRow.subject).in_(subjects_of(observable)))
    if since is not None:
        query = query.where(col(AuditEventRow.time) >= canonical_time(since))
    if until is not None:
        query = query.where(col(AuditEventRow.time) < canonical_time(until))
    order = (time, number) if in_period else (number,)
    ordered = query.order_by(*(each.asc() if oldest_first else each.desc() for each in order))
    rows = await session.execute(ordered.limit(limit))
    return [(row.seq, stored_event(row)) for row in rows]


def _after(before: int, *, oldest_first: bool) -> ColumnElement[bool]:
    """Return the condition of what follows an event by time, then by number."""
    place = aliased(AuditEventRow)
    moment = select(col(place.time)).where(col(place.number) == before).scalar_subquery()
    time, number = col(AuditEventRow.time), col(AuditEventRow.number)
    if oldest_first:
        return (time >= moment) & ((time > moment) | (number > before))
    return (time <= moment) & ((time < moment) | (number < before))
