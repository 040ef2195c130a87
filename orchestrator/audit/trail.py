"""How does an event get into the trail? In the transaction of what it tells of, so that neither is there without the other."""

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
    """Adds one event to the caller's transaction. `event_id`: one that a retry gives again, so that the event is there once."""
    await record_all(
        session, [event(kind, actor=actor, subject=subject, data=data, now=now, event_id=event_id)]
    )


async def record_all(session: AsyncSession, events: Sequence[Event]) -> None:
    """Adds events, in order, in few statements; one whose id is there already is left out."""
    await audit.append(session, [sealable(each) for each in events])


def event(
    kind: EventKind,
    *,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    now: datetime,
    event_id: str | None = None,
) -> Event:
    """An event with an id of its own, unless one is given."""
    return Event(
        id=event_id or new_id("evt"),
        kind=kind,
        time=now,
        actor=actor,
        subject=subject,
        data=dict(data),
    )


def event_id(*parts: object) -> str:
    """The same for the same parts, so that a retried activity says a thing once."""
    return f"evt_{digest([str(part) for part in parts])[:40]}"
