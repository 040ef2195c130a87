"""Audit events as rows: each carries a tag by the process that wrote it, under a key outside.

What decides, or is shown as a fact, reads them by `select_events`, which leaves out every row that
another hand wrote. Only the sealer and the export see the others, which they report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, String, select, true, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.audit_event import Event, StoredEvent, canonical_time
from orchestrator.domain.digest import canonical
from orchestrator.store.session import event_authenticator
from orchestrator.store.tables import AuditEventRow, AuditSealRow

_EVENT = b"tocsin:audit:event-mac:1\n"

EVENT_COLUMNS = (
    col(AuditEventRow.number),
    col(AuditEventRow.id),
    col(AuditEventRow.kind),
    col(AuditEventRow.time),
    col(AuditEventRow.actor),
    col(AuditEventRow.subject),
    # As text: a row that was altered into no JSON must not stop the reader.
    type_coerce(col(AuditEventRow.data), String).label("data"),
    col(AuditEventRow.mac),
)


async def select_events(
    session: AsyncSession,
    *where: ColumnElement[bool],
    newest_first: bool = False,
    limit: int | None = None,
) -> list[StoredEvent]:
    """Return the events that a process with the keys wrote, in the order of writing."""
    number = col(AuditEventRow.number)
    query = select(*EVENT_COLUMNS).where(*where)
    query = query.order_by(number.desc() if newest_first else number.asc())
    found: list[StoredEvent] = []
    # In parts, so that rows of another hand do not crowd out the others.
    after: ColumnElement[bool] = true()
    while True:
        rows = (await session.execute(query.where(after).limit(limit))).all()
        events = [stored_event(row) for row in rows]
        found += await _authentic(session, events)
        if limit is None or len(rows) < limit or len(found) >= limit:
            return found[:limit]
        last = events[-1].number
        after = number < last if newest_first else number > last


async def sealed_among(session: AsyncSession, numbers: Sequence[int]) -> set[int]:
    """Return those of the events that have a place in the chain."""
    place = col(AuditSealRow.event_number)
    return set(await session.scalars(select(place).where(place.in_(numbers))))


async def _authentic(session: AsyncSession, events: Sequence[StoredEvent]) -> list[StoredEvent]:
    """Return the events that a process wrote; with a key that was retired, only sealed ones."""
    authenticator = event_authenticator(session)
    older = [
        event.number
        for event in events
        if not is_authentic(event, authenticator)
        and is_authentic(event, authenticator, is_sealed=True)
    ]
    sealed = await sealed_among(session, older) if older else set()
    return [
        event for event in events if event.number in sealed or is_authentic(event, authenticator)
    ]


def stored_event(row: Any) -> StoredEvent:
    """Return the event in a row, authentic or not."""
    record = {name: getattr(row, name) for name in ("id", "kind", "time", "actor", "subject")}
    return StoredEvent(row.number, {**record, "data": _json(row.data)}, str(row.mac))


def event_row(event: Event, authenticator: Authenticator) -> dict[str, Any]:
    """Return the columns of an event that `sealable` has sanitized, with its tag."""
    record = {
        "id": event.id,
        "kind": event.kind.value,
        "time": canonical_time(event.time),
        "actor": event.actor,
        "subject": event.subject,
        "data": event.data,
    }
    return {**record, "mac": authenticator.tag(_message(record))}


def is_authentic(
    event: StoredEvent, authenticator: Authenticator, *, is_sealed: bool = False
) -> bool:
    """Return whether a process with the key wrote the event, and wrote it as it is.

    `is_sealed`: it has its place in the trail, so that a key that was retired since counts too.
    """
    try:
        return authenticator.verifies(event.mac, _message(event.record), retired=is_sealed)
    except (ValueError, RecursionError):  # what RFC 8785 cannot express was never written
        return False


def _message(record: Mapping[str, Any]) -> bytes:
    return _EVENT + canonical(dict(record))


def _json(found: Any) -> Any:
    """Return a JSON value; a text where it is none, which then matches no hash.

    PostgreSQL's driver has parsed it already.
    """
    if not isinstance(found, str | bytes):
        return found
    try:
        return json.loads(found)
    except (ValueError, RecursionError):
        return repr(found)
