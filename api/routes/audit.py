"""The audit trail, newest first."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import TheHeld, requires
from api.problems import RESPONSES
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.store import audit

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=RESPONSES)


@router.get("")
async def list_events(
    holds: TheHeld,
    subject: str | None = None,
    kind: EventKind | None = None,
    cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    who: Principal = requires(Permission.AUDIT_READ),
) -> dict[str, Any]:
    """`seq` is the place in the chain, once sealed."""
    async with holds.rt.store.read() as session:
        rows = await audit.page(session, after=cursor, limit=limit, subject=subject, kind=kind)
    items = [{"number": number, "seq": seq, **event.model_dump(mode="json")} for number, seq, event in rows]
    return {"items": items, "next": rows[-1][0] if len(rows) == limit else None}
