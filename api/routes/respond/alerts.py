"""Routes of alerts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.filters.lists import Alerts
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.incidents import queries
from orchestrator.incidents.views import AlertDetails, AlertView
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["alerts"], route_class=GuardedRoute)

AlertId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=200,
        description="The alert's id.",
        examples=["alert_019a8c7d21f04b6c1e2f3a4b5c6d"],
    ),
]


@router.get(
    "/v1/alerts",
    response_model=Page[AlertView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_alerts(
    rt: Rt, wanted: Alerts, sort: Sort = Order.NEWEST, cursor: Cursor = None, limit: Limit = 50
) -> Page[AlertView]:
    """List alerts, by the time of their arrival."""
    return await queries.list_alerts(rt, wanted, order=sort, cursor=cursor, limit=limit)


@router.get(
    "/v1/alerts/{alert_id}",
    response_model=AlertDetails,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_alert(rt: Rt, alert_id: AlertId) -> AlertDetails:
    """Return an alert, with the fields that playbooks read."""
    return await queries.get_alert(rt, alert_id)


@router.get(
    "/v1/alerts/{alert_id}/raw",
    response_class=Response,
    dependencies=[requires(Permission.READ)],
    responses={
        200: {
            "description": "The request body",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "{}",
                }
            },
        },
        **error_responses(401, 403, 404, 422),
    },
)
async def get_raw_alert(rt: Rt, alert_id: AlertId) -> Response:
    """Return the request that the alert was sent in, byte for byte.

    Browsers download it: it is untrusted data.
    """
    raw = await queries.get_raw(rt, alert_id)
    return Response(
        raw,
        media_type="application/octet-stream",
        headers={"Content-Disposition": "attachment; filename=alert.bin"},
    )
