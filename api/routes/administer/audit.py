"""Routes of the audit trail."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.filters.parameters import Person, Since, Sort, Until
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from orchestrator.audit import queries
from orchestrator.audit.queries import AuditEventView
from orchestrator.audit.sealer import stream_export
from orchestrator.audit.transparency import heads
from orchestrator.audit.transparency.proof import ConsistencyProof
from orchestrator.audit.transparency.tree_head import TreeHead
from orchestrator.domain.access import Permission
from orchestrator.domain.audit_batch import EXACT
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid
from orchestrator.store.search.filters import Names, Order
from orchestrator.store.search.names import parse_names

router = APIRouter(tags=["audit"], route_class=GuardedRoute)

_JSON_LINES = "application/x-ndjson"
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON lines: a header, each batch with its events, and the signed head.",
        "content": {
            _JSON_LINES: {"schema": {"type": "string"}, "example": '{"header":{"format":1}}\n'}
        },
    }
}


@router.get(
    "/v1/audit",
    response_model=Page[AuditEventView],
    dependencies=[requires(Permission.AUDIT_READ)],
    responses=error_responses(401, 403, 422),
)
async def list_audit_events(
    rt: Rt,
    subject: Annotated[
        str | None, Query(max_length=300, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    kind: Annotated[EventKind | None, Query(examples=["run:step:applied"])] = None,
    person: Person = None,
    observable: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=4096,
            description="Only about alerts that name this, and runs and approvals that change it: "
            "VALUE in any spelling, or TYPE:VALUE.",
            examples=["198.51.100.7"],
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditEventView]:
    """List audit events in the order in which they were recorded.

    `tocsin audit export` writes a file that anyone can verify offline.
    """
    return await queries.list_events(
        rt,
        subject=subject,
        kind=kind,
        person=person,
        observable=_names(observable),
        since=since,
        until=until,
        order=sort,
        cursor=cursor,
        limit=limit,
    )


@router.get(
    "/v1/audit/export",
    response_class=StreamingResponse,
    dependencies=[requires(Permission.AUDIT_READ)],
    responses=_EXPORT | error_responses(401, 403, 409),
)
async def export_audit_trail(rt: Rt) -> StreamingResponse:
    """Download the whole trail, sealed and signed, for `tocsin audit verify`."""
    size, chunks = await stream_export(rt)
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": 'attachment; filename="tocsin-audit.jsonl"',
    }
    return StreamingResponse(chunks, media_type=_JSON_LINES, headers=headers)


@router.get(
    "/v1/audit/head",
    dependencies=[requires(Permission.AUDIT_READ)],
    responses=error_responses(401, 403, 409),
)
async def get_audit_head(rt: Rt) -> TreeHead:
    """Return the signed head of the audit trail, which every later trail continues."""
    return await heads.load_head(rt)


@router.get(
    "/v1/audit/proof",
    dependencies=[requires(Permission.AUDIT_READ)],
    responses=error_responses(401, 403, 409, 422),
)
async def prove_audit_consistency(
    rt: Rt,
    from_batch: Annotated[
        int, Query(ge=1, le=EXACT, examples=[7], description="The batch of an earlier head.")
    ],
) -> ConsistencyProof:
    """Return the newest head, and the proof that it continues an earlier one (RFC 6962)."""
    return await heads.prove(rt, from_batch)


def _names(observable: str | None) -> Names | None:
    """Return the readings of a value. Raise Invalid, which names the parameter."""
    if observable is None:
        return None
    try:
        return parse_names(observable)
    except Invalid as error:
        raise Invalid(f"observable: {error}") from error
