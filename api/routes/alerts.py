"""Alerts in, alerts and incidents out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from fastapi.responses import JSONResponse

from api.dependencies import Held, TheHeld, requires
from api.problems import RESPONSES
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.errors import NotFound
from orchestrator.intake.accept import Accepted, accept
from orchestrator.intake.body import BodyRefused
from orchestrator.runs import paging
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.nudge import nudge
from orchestrator.store import alerts as kept
from orchestrator.store import configured
from orchestrator.store.tables import AlertRow, IncidentRow

router = APIRouter(tags=["alerts"], responses=RESPONSES)
Limit = Annotated[int, Query(ge=1, le=200)]


@router.post("/v1/alerts/{source}", status_code=202, openapi_extra={"security": []})
async def post_alert(source: str, request: Request, holds: TheHeld, background: BackgroundTasks) -> Response:
    """Take what a product sends. 202: committed; 200: known already, or telemetry that is no alert. The source's own authentication."""
    body = await _body(request, holds.rt.settings.max_body_bytes)
    done = await accept(holds.rt, source, request.headers.raw, body)
    background.add_task(_begin, holds, done)
    return JSONResponse(_told(done), status_code=200 if done.duplicate or done.ignored else 202, background=background)


@router.get("/v1/alerts")
async def list_alerts(
    holds: TheHeld, cursor: str | None = None, limit: Limit = 50, who: Principal = requires(Permission.READ)
) -> dict[str, Any]:
    """Newest first."""
    async with holds.rt.store.read() as session:
        rows = await kept.page(session, AlertRow, AlertRow.received_at, paging.after(cursor), limit)
    last = (rows[-1].received_at, rows[-1].id) if rows else None
    return paging.page([_alert(row) for row in rows], limit, last)


@router.get("/v1/alerts/{alert_id}")
async def get_alert(alert_id: str, holds: TheHeld, who: Principal = requires(Permission.READ)) -> dict[str, Any]:
    """One alert in its normal form."""
    row = await _row(holds, alert_id)
    return {**_alert(row), "alert": row.view}


@router.get("/v1/alerts/{alert_id}/raw")
async def get_raw(alert_id: str, holds: TheHeld, who: Principal = requires(Permission.READ)) -> Response:
    """What came, byte for byte."""
    row = await _row(holds, alert_id)
    async with holds.rt.store.read() as session:
        return Response(await kept.raw_of(session, row), media_type="application/octet-stream")


@router.get("/v1/incidents")
async def list_incidents(
    holds: TheHeld, cursor: str | None = None, limit: Limit = 50, who: Principal = requires(Permission.READ)
) -> dict[str, Any]:
    """Newest first."""
    async with holds.rt.store.read() as session:
        rows = await kept.page(session, IncidentRow, IncidentRow.opened_at, paging.after(cursor), limit)
    last = (rows[-1].opened_at, rows[-1].id) if rows else None
    return paging.page([row.model_dump(mode="json") for row in rows], limit, last)


async def _row(holds: Held, alert_id: str) -> AlertRow:
    async with holds.rt.store.read() as session:
        row = await configured.one(session, AlertRow, alert_id)
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    return row


async def _body(request: Request, limit: int) -> bytes:
    """Read only as far as the limit, whatever the sender says of its length."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > limit:
            raise BodyRefused(413, f"the body is larger than {limit} bytes; send alerts one by one, or raise max_body_bytes")
    return bytes(parts)


async def _begin(holds: Held, done: Accepted) -> None:
    """After the answer: the sweeper does the same when Temporal is away."""
    client = holds.client()
    if client is None:
        return
    if done.run_ids:
        await dispatch(holds.rt, client, done.run_ids)
    for incident_id in {alert.incident_id for alert in done.alerts if not alert.duplicate}:
        await nudge(holds.rt, client, incident_id)


def _told(done: Accepted) -> dict[str, Any]:
    if done.ignored is not None:
        return {"ignored": done.ignored, "alerts": []}
    first = done.alerts[0]
    return {
        "alert_id": first.alert_id,
        "incident_id": first.incident_id,
        "duplicate": done.duplicate,
        "alerts": [alert.model_dump() for alert in done.alerts],
        "run_ids": list(done.run_ids),
    }


def _alert(row: AlertRow) -> dict[str, Any]:
    return row.model_dump(mode="json", exclude={"raw", "view"})
