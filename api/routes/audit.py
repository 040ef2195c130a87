"""The audit trail: what happened, who did it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.container import Rt
from api.dependencies import Guarded, requires
from api.paging import Cursor, Limit, Page, decoded, encoded
from api.problems import documented
from api.schemas.audit import AuditEvent
from orchestrator.domain.access import Permission
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.store.queries import audit

router = APIRouter(tags=["audit"], route_class=Guarded)

_DIGITS = 18


@router.get(
    "/v1/audit",
    response_model=Page[AuditEvent],
    dependencies=[requires(Permission.AUDIT_READ)],
    responses=documented(401, 403, 422),
)
async def list_events(
    rt: Rt,
    subject: Annotated[
        str | None, Query(max_length=300, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    kind: Annotated[EventKind | None, Query(examples=["run:step:applied"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Events, newest first. `tocsin audit export` gives what can be verified without us."""
    async with rt.store.read() as session:
        found = await audit.page(
            session, after=_number(cursor), limit=limit, subject=subject, kind=kind
        )
    items = [
        AuditEvent(number=number, seq=seq, **event.model_dump()) for number, seq, event in found
    ]
    return Page[AuditEvent](
        items=items, next=encoded(str(items[-1].number)) if len(items) == limit else None
    )


def _number(cursor: str | None) -> int | None:
    text = decoded(cursor)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise Invalid("the cursor is none of ours; take it from `next` of the page before")
    return int(text)
