"""Recording of events, in the transaction of the change that they describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.sanitize import sealable
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import digest, new_id
from orchestrator.store.queries import audit


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
    """Add one event to the caller's transaction. `event_id`: an id that a retry repeats."""
    await record_all(
        session, [event(kind, actor=actor, subject=subject, data=data, now=now, event_id=event_id)]
    )


async def record_all(session: AsyncSession, events: Sequence[Event]) -> None:
    """Add events in order, in few statements. An event whose id exists already is left out."""
    await audit.append(session, [sealable(item) for item in events])


def event(
    kind: EventKind,
    *,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    now: datetime,
    event_id: str | None = None,
) -> Event:
    """Return an event with a new id, unless one is given."""
    return Event(
        id=event_id or new_id("evt"),
        kind=kind,
        time=now,
        actor=actor,
        subject=subject,
        data=dict(data),
    )


def event_id(*parts: object) -> str:
    """Return the same id for the same parts, so that a retried activity records an event once."""
    return f"evt_{digest([str(part) for part in parts])[:40]}"
