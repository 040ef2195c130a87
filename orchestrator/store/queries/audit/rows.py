"""Queries of the audit trail, which is appended and sealed, never updated and never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, true
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_batch import MAX_BATCH, AuditEntry, Batch
from orchestrator.domain.audit_event import EventKind, StoredEvent
from orchestrator.domain.errors import Conflict
from orchestrator.store.audit_events import EVENT_COLUMNS, stored_event
from orchestrator.store.dialect import insert, is_postgresql
from orchestrator.store.statements.events import ADD_EVENT
from orchestrator.store.tables import (
    AuditBatchRow,
    AuditEventRow,
    AuditQuarantineRow,
    AuditSealRow,
)

_CHUNK = 500
_FEW = 4
"""Rows that are sent one by one; more are one statement, where each is a way to a server."""
_DIGESTS = 5000
_RECENT = 60
"""Batches that are searched for late events; a search of the whole trail finds even later ones."""


async def append(session: AsyncSession, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Add rows of events in order. Return the ids that were there already, which stay as they are.

    A row has the columns of `AuditEventRow` except `number`.
    """
    if len(rows) <= _FEW or not is_postgresql(session):
        return [row["id"] for row in rows if not await ADD_EVENT.run(session, row)]
    known: list[str] = []
    for start in range(0, len(rows), _CHUNK):
        chunk = list(rows[start : start + _CHUNK])
        statement = insert(session, AuditEventRow).on_conflict_do_nothing(index_elements=["id"])
        added = set(await session.scalars(statement.returning(AuditEventRow.id), chunk))
        known += [row["id"] for row in chunk if row["id"] not in added]
    return known


async def events_by_id(session: AsyncSession, ids: Sequence[str]) -> dict[str, StoredEvent]:
    """Return stored events by id."""
    found = await session.execute(select(*EVENT_COLUMNS).where(col(AuditEventRow.id).in_(ids)))
    return {row.id: stored_event(row) for row in found}


async def unsealed(
    session: AsyncSession, *, everywhere: bool = False, after: int = 0, limit: int = MAX_BATCH
) -> list[StoredEvent]:
    """Return the oldest events without a place in the chain, with numbers beyond `after`.

    Numbers are assigned before a transaction commits, so that an event may appear late. The last
    batches are searched for these as well, or all of them (`everywhere`). Quarantined events are
    returned with `everywhere` only.
    """
    floor = after if everywhere else max(after, await _floor(session))
    query = select(*EVENT_COLUMNS).where(col(AuditEventRow.number) > floor, ~_is_in(AuditSealRow))
    if not everywhere:
        query = query.where(~_is_in(AuditQuarantineRow))
    rows = await session.execute(query.order_by(col(AuditEventRow.number)).limit(limit))
    return [stored_event(row) for row in rows]


async def oldest_unsealed(session: AsyncSession) -> datetime | None:
    """Return the time of the oldest event without a place; None for none, or without a time."""
    found = await unsealed(session, limit=1)
    try:
        return datetime.fromisoformat(found[0].record["time"]).astimezone(UTC) if found else None
    except (TypeError, ValueError):  # it was written past Tocsin, and is about to be set aside
        return None


async def quarantine(session: AsyncSession, events: Iterable[StoredEvent], now: datetime) -> None:
    """Set events aside, so that they are neither sealed nor looked at each second."""
    rows = [
        {"event_number": each.number, "event_id": str(each.record["id"]), "found_at": now}
        for each in events
    ]
    for start in range(0, len(rows), _CHUNK):
        await session.execute(
            insert(session, AuditQuarantineRow).on_conflict_do_nothing(), rows[start:][:_CHUNK]
        )


async def quarantined(
    session: AsyncSession, limit: int, since: datetime | None
) -> tuple[int, list[tuple[int, str]]]:
    """Return how many events were set aside later, and the numbers and ids of the first ones."""
    later = col(AuditQuarantineRow.found_at) > since if since is not None else true()
    count = select(func.count()).select_from(AuditQuarantineRow).where(later)
    total = await session.scalar(count) or 0
    query = select(col(AuditQuarantineRow.event_number), col(AuditQuarantineRow.event_id))
    query = query.where(later)
    rows = await session.execute(query.order_by(col(AuditQuarantineRow.event_number)).limit(limit))
    return total, [(row.event_number, row.event_id) for row in rows]


async def places(session: AsyncSession, first_seq: int, last_seq: int) -> tuple[int, int]:
    """Return how many places of the chain the store has in a range, and their highest number."""
    numbers = col(AuditSealRow.event_number)
    query = select(func.count(), func.max(numbers)).where(
        col(AuditSealRow.seq).between(first_seq, last_seq)
    )
    count, highest = (await session.execute(query)).one()
    return count, highest or 0


async def last_place(session: AsyncSession) -> int:
    """Return the last place of the chain that the store has; 0 for none."""
    return await session.scalar(select(func.max(col(AuditSealRow.seq)))) or 0


async def batch(session: AsyncSession, number: int) -> Batch | None:
    """Return one batch. Raise Conflict where it was altered beyond recognition."""
    query = select(AuditBatchRow).where(col(AuditBatchRow.number) == number)
    try:
        row = await session.scalar(query)
        return Batch.model_validate(row.record) if row else None
    except ValueError as error:  # no JSON, or not the form of a batch
        raise Conflict(_UNREADABLE.format(name=f"batch {number}")) from error


async def newest_batch(session: AsyncSession) -> Batch | None:
    """Return the end of the chain. Raise Conflict as `batch`."""
    number = await session.scalar(select(func.max(col(AuditBatchRow.number))))
    return None if number is None else await batch(session, number)


async def batches(session: AsyncSession, first: int, limit: int) -> list[Batch]:
    """Return batches from a number on, in order. Raise Conflict as `batch`."""
    query = select(AuditBatchRow).where(col(AuditBatchRow.number) >= first)
    query = query.order_by(col(AuditBatchRow.number)).limit(limit)
    try:
        return [Batch.model_validate(row.record) for row in await session.scalars(query)]
    except ValueError as error:
        raise Conflict(_UNREADABLE.format(name=f"a batch from {first} on")) from error


async def key_changes(session: AsyncSession) -> list[tuple[int, int, dict[str, Any]]]:
    """Return the sealed events that change the audit key: batch, place and record, in order."""
    seq, kind = col(AuditSealRow.seq), col(AuditEventRow.kind)
    batch = (
        select(col(AuditBatchRow.number))
        .where(col(AuditBatchRow.first_seq) <= seq)
        .order_by(col(AuditBatchRow.first_seq).desc())
        .limit(1)
        .correlate(AuditSealRow)
        .scalar_subquery()
    )
    query = select(*EVENT_COLUMNS, seq, batch.label("batch")).join(
        AuditSealRow, col(AuditSealRow.event_number) == col(AuditEventRow.number)
    )
    rows = await session.execute(query.where(kind == EventKind.AUDIT_KEY_CHANGED).order_by(seq))
    return [(row.batch or 0, row.seq, dict(stored_event(row).record)) for row in rows]


async def batch_digests(session: AsyncSession, up_to: int) -> AsyncIterator[list[str]]:
    """Yield the digests of batches 1, 2, 3, ... in pieces, as stored.

    Raise Conflict where one is missing or cannot be read.
    """
    number = col(AuditBatchRow.number)
    digest = col(AuditBatchRow.record)["digest"].as_string()
    done = 0
    while done < up_to:
        last = min(done + _DIGESTS, up_to)
        query = select(number, digest.label("digest")).where(number > done, number <= last)
        try:
            rows = (await session.execute(query.order_by(number))).all()
        except OperationalError as error:  # SQLite finds text that is no JSON
            if "malformed JSON" not in str(error.orig):
                raise
            raise Conflict(_UNREADABLE.format(name="a batch")) from error
        if [row.number for row in rows] != list(range(done + 1, last + 1)):
            raise Conflict("a batch of the audit trail is missing; `tocsin audit verify` names it")
        yield [str(row.digest) for row in rows]
        done = last


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


async def sealed_rows(
    session: AsyncSession, up_to: int, *, after: int = 0
) -> AsyncIterator[AuditEntry | Batch]:
    """Yield batches beyond `after` up to one: the entries of each as stored now, then the batch."""
    for number in range(after + 1, up_to + 1):
        found = await batch(session, number)
        if found is None:
            continue  # the verifier reports the gap
        for entry in await _entries(session, found.first_seq, found.last_seq):
            yield entry
        yield found
        session.expunge_all()


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
        select(*EVENT_COLUMNS, col(AuditSealRow.seq), col(AuditSealRow.leaf))
        .join(AuditEventRow, col(AuditSealRow.event_number) == col(AuditEventRow.number))
        .where(col(AuditSealRow.seq).between(first_seq, last_seq))
        .order_by(col(AuditSealRow.seq))
    )
    return [
        AuditEntry({"seq": row.seq, **stored_event(row).record}, row.leaf)
        for row in await session.execute(query)
    ]


def _is_in(table: type[AuditSealRow | AuditQuarantineRow]) -> Any:
    number = col(table.event_number)
    return select(number).where(number == col(AuditEventRow.number)).exists()


_UNREADABLE = "{name} of the audit trail cannot be read: it was altered in the store"
