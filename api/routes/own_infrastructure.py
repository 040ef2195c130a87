"""Own infrastructure: what Tocsin stands on, and therefore protects without being told."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.examples import OWN, listed
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import own_infrastructure
from orchestrator.policy.stops.own_infrastructure import OwnView

router = APIRouter(tags=["assets"], route_class=Guarded)


@router.get(
    "/v1/own-infrastructure",
    response_model=Page[OwnView],
    dependencies=[requires(Permission.READ)],
    responses=listed(OWN) | documented(401, 403, 422),
)
async def list_own(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """Addresses of the machines that Tocsin runs on, their resolvers and gateways, and the hosts of Temporal, database and connections."""
    return page_of(
        await own_infrastructure.list_own(rt),
        lambda own: f"{own.node} {own.type} {own.value}",
        cursor,
        limit,
    )
