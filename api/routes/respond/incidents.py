"""Routes of incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.domain.incident import IncidentStatus
from orchestrator.incidents import queries
from orchestrator.incidents.views import IncidentView

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
    rt: Rt,
    status: Annotated[IncidentStatus | None, Query(examples=["open"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[IncidentView]:
    """List incidents, newest first."""
    return await queries.list_incidents(rt, status=status, cursor=cursor, limit=limit)


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
