"""Recording of events, in the transaction of the change that they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.sanitize import sanitize_data, sealable
from orchestrator.crypto.mac import Authenticator
from orchestrator.domain.audit_event import Event, EventKind, StoredEvent
from orchestrator.domain.digest import digest, new_id
from orchestrator.domain.errors import Conflict
from orchestrator.store.audit_events import event_row, is_authentic, sealed_among
from orchestrator.store.queries import audit
from orchestrator.store.session import event_authenticator, note_events


async def record(
    session: AsyncSession,
    kind: EventKind,
    *,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    now: datetime,
    event_id: str | None = None,
) -> None:
    """Add one event to the caller's transaction. `event_id`: as for `event`."""
    await record_all(
        session, [event(kind, actor=actor, subject=subject, data=data, now=now, event_id=event_id)]
    )


async def record_all(session: AsyncSession, events: Sequence[Event]) -> None:
    """Add events in order, in few statements. An event that is there already is added once.

    Raise Conflict where the store has another event under the id of one of them.
    """
    authenticator = event_authenticator(session)
    rows = [event_row(sealable(item), authenticator) for item in events]
    known = await audit.append(session, rows)
    note_events(session, (row["kind"] for row in rows if row["id"] not in known))
    if not known:
        return
    stored = await audit.events_by_id(session, known)
    sealed = await sealed_among(session, [event.number for event in stored.values()])
    for row in rows:
        if found := stored.get(row["id"]):
            _check_same(row, found, authenticator, is_sealed=found.number in sealed)


def _check_same(
    row: Mapping[str, Any], stored: StoredEvent, authenticator: Authenticator, *, is_sealed: bool
) -> None:
    """Raise Conflict unless the stored event is what a retry writes, at whatever time."""
    same = all(stored.record[name] == row[name] for name in ("kind", "actor", "subject", "data"))
    if not (same and is_authentic(stored, authenticator, is_sealed=is_sealed)):
        raise Conflict(
            f"the audit trail has another event {row['id']}, numbered {stored.number}: "
            "it was written past Tocsin; find out by whom (docs/operating.md#a-broken-audit-trail)"
        )


def event(
    kind: EventKind,
    *,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    now: datetime,
    event_id: str | None = None,
) -> Event:
    """Return an event with a new id.

    `event_id`: what a retry repeats. The id is derived from it and from what the event says, so
    that a retry adds the event once, and one that has something else to say adds another.
    """
    content = dict(data)
    if event_id is None:
        id_ = new_id("evt")
    else:
        content = sanitize_data(content)
        id_ = f"evt_{digest([event_id, kind, actor, subject, content])[:40]}"
    return Event(id=id_, kind=kind, time=now, actor=actor, subject=subject, data=content)


def event_id(*parts: object) -> str:
    """Return the same text for the same parts, so that a retried activity repeats it."""
    return f"evt_{digest([str(part) for part in parts])[:40]}"
