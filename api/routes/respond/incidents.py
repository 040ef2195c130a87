"""Routes of incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.filters.lists import Incidents
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.incidents import queries
from orchestrator.incidents.views import IncidentView
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["incidents"], route_class=GuardedRoute)

IncidentId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["inc_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/incidents",
    response_model=Page[IncidentView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_incidents(
    rt: Rt, wanted: Incidents, sort: Sort = Order.NEWEST, cursor: Cursor = None, limit: Limit = 50
) -> Page[IncidentView]:
    """List incidents, by the time when they were opened."""
    return await queries.list_incidents(rt, wanted, order=sort, cursor=cursor, limit=limit)


@router.get(
    "/v1/incidents/{incident_id}",
    response_model=IncidentView,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_incident(rt: Rt, incident_id: IncidentId) -> IncidentView:
    """Return one incident.

    Its alerts are at /v1/alerts?incident_id=, its runs at /v1/runs?incident_id=.
    """
    return await queries.get_incident(rt, incident_id)
