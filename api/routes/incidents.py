"""Incidents: related alerts."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import Guarded, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.schemas.alerts import IncidentSummary
from orchestrator.domain.access import Permission
from orchestrator.incidents import queries

router = APIRouter(tags=["incidents"], route_class=Guarded)

IncidentId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["inc_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/incidents",
    response_model=Page[IncidentSummary],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_incidents(
    rt: Rt,
    status: Annotated[Literal["open", "closed"] | None, Query(examples=["open"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Incidents, newest first."""
    return await queries.list_incidents(rt, status=status, cursor=cursor, limit=limit)


@router.get(
    "/v1/incidents/{incident_id}",
    response_model=IncidentSummary,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_incident(rt: Rt, incident_id: IncidentId) -> object:
    """One incident; its alerts are under /v1/alerts?incident_id=, its runs under /v1/runs?incident_id=."""
    return await queries.get_incident(rt, incident_id)
