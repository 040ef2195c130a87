"""Own infrastructure: what Tocsin depends on, and therefore protects."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import own_infrastructure
from orchestrator.policy.stops.own_infrastructure import OwnView

router = APIRouter(tags=["assets"], route_class=GuardedRoute)


@router.get(
    "/v1/own-infrastructure",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_own_infrastructure(
    rt: Rt, cursor: Cursor = None, limit: Limit = 50
) -> Page[OwnView]:
    """List the addresses, resolvers, gateways and hosts that Tocsin depends on."""
    return page_of(
        await own_infrastructure.list_own(rt),
        lambda own: f"{own.node} {own.type} {own.value}",
        cursor,
        limit,
    )
