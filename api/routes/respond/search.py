"""Search for a value over everything that names it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.container import Rt
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.incidents.search import SearchResult, search

router = APIRouter(tags=["search"], route_class=GuardedRoute)


@router.get(
    "/v1/search",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def search_value(
    rt: Rt,
    who: CurrentPrincipal,
    value: Annotated[
        str,
        Query(
            min_length=1,
            max_length=4096,
            description="An address, network, domain, host, user, hash, URL ... in any spelling, "
            "or TYPE:VALUE.",
            examples=["198.51.100.7"],
        ),
    ],
    limit: Annotated[
        int, Query(ge=1, le=100, description="The most items of each kind.", examples=[20])
    ] = 20,
) -> SearchResult:
    """Find the alerts that name a value, and the runs, approvals, containments and events of it."""
    return await search(rt, value, who.permissions, limit)
