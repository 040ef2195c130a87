"""Alerts: taken from the products that send them, and shown to people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response

from api.container import Rt, parts
from api.dependencies import Guarded, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.schemas.alerts import Accepted, AlertDetail, AlertSummary, Ignored, Taken
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.incidents import queries
from orchestrator.intake import accept as intake
from orchestrator.intake.authenticate import NotAuthentic

intake_router = APIRouter(tags=["intake"])
router = APIRouter(tags=["alerts"], route_class=Guarded)

Source = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="The source's name (GET: an alert's id).",
        examples=["edge-ids"],
    ),
]
AlertId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="The alert's id.",
        examples=["alert_019a8c7d21f04b6c1e2f3a4b5c6d"],
    ),
]
_INTAKE = {
    "security": [],
    "requestBody": {
        "required": True,
        "description": "What the product sends, as it sends it. It is authenticated over these very bytes.",
        "content": {
            "application/json": {
                "schema": {},
                "example": {"event_type": "alert", "alert": {"signature": "ET MALWARE Beacon"}},
            }
        },
    },
}


@intake_router.post(
    "/v1/alerts/{source}",
    status_code=202,
    response_model=Accepted,
    responses={
        200: {
            "model": Accepted | Ignored,
            "description": "All of it is known already, or it is no alert",
        },
        **documented(401, 404, 422),
    },
    openapi_extra=_INTAKE,
)
async def accept(source: Source, request: Request) -> Response:
    """Take an alert. Answered once it is committed; its runs start right afterwards, whether Temporal is up or not.

    Authenticated by the scheme of the source, not by an API key.
    """
    held = parts(request)
    body = await request.body()
    try:
        done = await intake.accept(held.rt, source, request.headers.raw, body)
    except NotFound:
        held.metrics.alert(None, "refused")
        raise
    except (NotAuthentic, Invalid):
        held.metrics.alert(source, "refused")
        raise
    if not done.alerts:
        held.metrics.alert(source, "ignored")
        return JSONResponse({"ignored": done.ignored or "it holds no alert"})
    held.metrics.alert(source, "duplicate" if done.duplicate else "accepted")
    held.dispatcher.soon(
        done.run_ids, (each.incident_id for each in done.alerts if not each.duplicate)
    )
    return JSONResponse(_answer(done), 200 if done.duplicate else 202)


@router.get(
    "/v1/alerts",
    response_model=Page[AlertSummary],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_alerts(
    rt: Rt,
    incident_id: Annotated[
        str | None, Query(max_length=200, examples=["inc_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    source: Annotated[str | None, Query(max_length=64, examples=["edge-ids"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Alerts, newest first."""
    return await queries.list_alerts(
        rt, incident_id=incident_id, source=source, cursor=cursor, limit=limit
    )


@router.get(
    "/v1/alerts/{source}",
    response_model=AlertDetail,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_alert(rt: Rt, source: AlertId) -> object:
    """One alert, with what playbooks see of it."""
    return await queries.get_alert(rt, source)


@router.get(
    "/v1/alerts/{source}/raw",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses={
        200: {
            "description": "The bytes",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "{}",
                }
            },
        },
        **documented(401, 403, 404, 422),
    },
)
async def raw_alert(rt: Rt, source: AlertId) -> Response:
    """What was sent, byte for byte: a stranger's data, so that no browser shows it."""
    raw = await queries.get_raw(rt, source)
    return Response(
        raw,
        media_type="application/octet-stream",
        headers={"Content-Disposition": "attachment; filename=alert.bin"},
    )


def _answer(done: intake.Accepted) -> dict[str, object]:
    first = done.alerts[0]
    taken = [Taken(**each.model_dump()) for each in done.alerts]
    answer = Accepted(
        alert_id=first.alert_id,
        incident_id=first.incident_id,
        duplicate=done.duplicate,
        alerts=taken,
        run_ids=list(done.run_ids),
    )
    return answer.model_dump()
