"""The audit trail as the API lists it, newest event first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orchestrator.domain.audit_event import EventKind, StoredEvent
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.audit_events import is_authentic
from orchestrator.store.paging import (
    UNKNOWN_CURSOR,
    Page,
    check_limit,
    decode_cursor,
    encode_cursor,
)
from orchestrator.store.queries import audit
from orchestrator.store.search.filters import Names, Order
from orchestrator.store.session import event_authenticator

_MAX_DIGITS = 18


class AuditEventView(Frozen):
    """One event of the audit trail."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "number": 17,
                "seq": 17,
                "id": "evt_019a8c7d21f04b6c1e2f3a4b5c6d",
                "kind": "run:step:applied",
                "created_at": "2026-01-01T12:00:02Z",
                "actor": "run:run_019a8c7d21f04b6c1e2f3a4b5c6d",
                "subject": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
                "data": {"path": "contain/block"},
            }
        }
    )

    number: Annotated[int, Field(description="Its number in the database.")]
    seq: Annotated[
        int | None, Field(description="Its place in the sealed chain; null until it is sealed.")
    ]
    id: str
    kind: EventKind
    created_at: datetime
    actor: Annotated[str, Field(description="`system`, `source:NAME`, `run:ID` or `person:NAME`.")]
    subject: Annotated[str, Field(description="The id of what it is about, such as a run.")]
    data: dict[str, Any]


async def list_events(
    rt: Runtime,
    *,
    subject: str | None = None,
    kind: EventKind | None = None,
    person: str | None = None,
    observable: Names | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AuditEventView]:
    """Return events that a process of this installation wrote.

    Raise Invalid for a bad cursor or limit.
    """
    async with rt.store.read() as session:
        rows = await audit.page(
            session,
            before=_number(cursor),
            limit=check_limit(limit),
            subject=subject,
            kind=kind,
            actor=None if person is None else f"person:{person}",
            observable=observable,
            since=since,
            until=until,
            oldest_first=order is Order.OLDEST,
        )
        authenticator = event_authenticator(session)
    items = [
        _view(seq, event)
        for seq, event in rows
        if is_authentic(event, authenticator, is_sealed=seq is not None)
    ]
    more = len(rows) == limit
    return Page(items=items, next=encode_cursor(str(rows[-1][1].number)) if more else None)


def _view(seq: int | None, event: StoredEvent) -> AuditEventView:
    record = dict(event.record)
    created_at = datetime.fromisoformat(record.pop("time"))
    return AuditEventView(number=event.number, seq=seq, created_at=created_at, **record)


def _number(cursor: str | None) -> int | None:
    text = decode_cursor(cursor)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise Invalid(UNKNOWN_CURSOR)
    return int(text)
