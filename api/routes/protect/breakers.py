"""Circuit breakers: list tripped ones, and reset them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import circuit_breaker
from orchestrator.policy.stops.circuit_breaker import BreakerView

router = APIRouter(tags=["breakers"], route_class=GuardedRoute)

SourceName = Annotated[str, Path(min_length=1, max_length=64, examples=["edge-ids"])]


@router.get(
    "/v1/breakers",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_breakers(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> Page[BreakerView]:
    """List tripped circuit breakers. Every change for their sources needs approval."""
    return page_of(
        await circuit_breaker.list_breakers(rt), lambda breaker: breaker.source, cursor, limit
    )


@router.delete(
    "/v1/breakers/{source}",
    status_code=204,
    dependencies=[requires(Permission.KILL_SWITCH_LIFT)],
    responses=error_responses(401, 403, 404, 422),
)
async def reset_breaker(rt: Rt, actor: Actor, source: SourceName) -> Response:
    """Reset a circuit breaker. Containments before the reset do not count again."""
    await circuit_breaker.reset_breaker(rt, source, actor=actor)
    return Response(status_code=204)
