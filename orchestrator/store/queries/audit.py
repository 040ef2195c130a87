"""Queries of the audit trail, which is appended and sealed, never updated and never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_batch import MAX_BATCH, AuditEntry, Batch
from orchestrator.domain.audit_event import Event, EventKind, canonical_time
from orchestrator.store.dialect import insert
from orchestrator.store.tables import AuditBatchRow, AuditEventRow, AuditSealRow

_CHUNK = 500
_RECENT = 60
"""Batches that are searched for late events; a search of the whole trail finds even later ones."""


async def append(session: AsyncSession, events: Sequence[Event]) -> None:
    """Add events that `sealable` has sanitized. An event whose id exists already is left out."""
    for start in range(0, len(events), _CHUNK):
        rows = [_row(event) for event in events[start : start + _CHUNK]]
        await session.execute(
            insert(session, AuditEventRow).on_conflict_do_nothing(index_elements=["id"]), rows
        )


async def unsealed(
    session: AsyncSession, *, everywhere: bool = False, limit: int = MAX_BATCH
) -> list[tuple[int, Event]]:
    """Return the oldest events without a place in the chain, with their numbers.

    Numbers are assigned before a transaction commits, so that an event may appear late. The last
    batches are searched for these as well, or all of them (`everywhere`).
    """
    floor = 0 if everywhere else await _floor(session)
    sealed = (
        select(col(AuditSealRow.event_number))
        .where(col(AuditSealRow.event_number) == col(AuditEventRow.number))
        .exists()
    )
    query = select(AuditEventRow).where(col(AuditEventRow.number) > floor, ~sealed)
    rows = await session.scalars(query.order_by(col(AuditEventRow.number)).limit(limit))
    return [(row.number or 0, event_of(row)) for row in rows]


async def newest_batch(session: AsyncSession) -> Batch | None:
    """Return the end of the chain."""
    row = await session.scalar(
        select(AuditBatchRow).order_by(col(AuditBatchRow.number).desc()).limit(1)
    )
    return Batch.model_validate(row.record) if row else None


async def add_batch(
    session: AsyncSession, numbers: Sequence[int], entries: Sequence[AuditEntry], batch: Batch
) -> None:
    """Add the places of the events and the batch that seals them."""
    places = [
        {"seq": entry.record["seq"], "event_number": number, "leaf": entry.leaf}
        for number, entry in zip(numbers, entries, strict=True)
    ]
    for start in range(0, len(places), _CHUNK):
        await session.execute(insert(session, AuditSealRow), places[start : start + _CHUNK])
    session.add(
        AuditBatchRow(
            number=batch.number,
            first_seq=batch.first_seq,
            last_seq=batch.last_seq,
            record=batch.model_dump(),
        )
    )
    await session.flush()


async def sealed_rows(session: AsyncSession, up_to: int) -> AsyncIterator[AuditEntry | Batch]:
    """Yield the trail up to a batch: the entries of each batch as stored now, then the batch."""
    for number in range(1, up_to + 1):
        row = await session.get(AuditBatchRow, number)
        if row is None:
            continue  # the verifier reports the gap
        for entry in await _entries(session, row.first_seq, row.last_seq):
            yield entry
        yield Batch.model_validate(row.record)
        session.expunge_all()


async def page(
    session: AsyncSession,
    *,
    before: int | None,
    limit: int,
    subject: str | None = None,
    subjects: Collection[str] = (),
    kind: EventKind | None = None,
    actor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    oldest_first: bool = False,
) -> list[tuple[int, int | None, Event]]:
    """Return events below a number, newest first, with number and place in the chain.

    `oldest_first`: events above the number, oldest first.
    """
    query = select(AuditEventRow, col(AuditSealRow.seq)).outerjoin(
        AuditSealRow, col(AuditSealRow.event_number) == col(AuditEventRow.number)
    )
    number = col(AuditEventRow.number)
    if before is not None:
        query = query.where(number > before if oldest_first else number < before)
    for column, value in (
        (AuditEventRow.subject, subject),
        (AuditEventRow.kind, kind.value if kind else None),
        (AuditEventRow.actor, actor),
    ):
        if value is not None:
            query = query.where(col(column) == value)
    if subjects:
        query = query.where(col(AuditEventRow.subject).in_(subjects))
    if since is not None:
        query = query.where(col(AuditEventRow.time) >= canonical_time(since))
    if until is not None:
        query = query.where(col(AuditEventRow.time) < canonical_time(until))
    ordered = query.order_by(number.asc() if oldest_first else number.desc()).limit(limit)
    rows = await session.execute(ordered)
    return [(row.number or 0, seq, event_of(row)) for row, seq in rows]


def event_of(row: AuditEventRow) -> Event:
    """Return the event in a row."""
    moment = datetime.fromisoformat(row.time).astimezone(UTC)
    return Event(
        id=row.id,
        kind=EventKind(row.kind),
        time=moment,
        actor=row.actor,
        subject=row.subject,
        data=row.data,
    )


async def _floor(session: AsyncSession) -> int:
    newest = select(func.max(AuditBatchRow.number)).scalar_subquery()
    batch = (
        select(col(AuditBatchRow.last_seq))
        .where(col(AuditBatchRow.number) == newest - _RECENT)
        .scalar_subquery()
    )
    return (
        await session.scalar(
            select(col(AuditSealRow.event_number)).where(col(AuditSealRow.seq) == batch)
        )
        or 0
    )


async def _entries(session: AsyncSession, first_seq: int, last_seq: int) -> list[AuditEntry]:
    query = (
        select(AuditSealRow, AuditEventRow)
        .outerjoin(AuditEventRow, col(AuditSealRow.event_number) == col(AuditEventRow.number))
        .where(col(AuditSealRow.seq).between(first_seq, last_seq))
        .order_by(col(AuditSealRow.seq))
    )
    return [
        AuditEntry(_record(place.seq, row), place.leaf)
        for place, row in await session.execute(query)
        if row is not None
    ]


def _record(seq: int, row: AuditEventRow) -> dict[str, Any]:
    """Return the record as stored, unparsed: an alteration in the store must show in the export."""
    return {
        "seq": seq,
        "id": row.id,
        "kind": row.kind,
        "time": row.time,
        "actor": row.actor,
        "subject": row.subject,
        "data": row.data,
    }


def _row(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "kind": event.kind.value,
        "time": canonical_time(event.time),
        "actor": event.actor,
        "subject": event.subject,
        "data": event.data,
    }
