"""Breakers: sources that suddenly asked for too many containments."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.examples import BREAKER, listed
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import breaker_reset
from orchestrator.policy.stops.breaker_reset import BreakerView

router = APIRouter(tags=["breakers"], route_class=Guarded)

SourceName = Annotated[str, Path(min_length=1, max_length=64, examples=["edge-ids"])]


@router.get(
    "/v1/breakers",
    response_model=Page[BreakerView],
    dependencies=[requires(Permission.READ)],
    responses=listed(BREAKER) | documented(401, 403, 422),
)
async def list_breakers(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """Those that are tripped: people are asked about every change for these sources."""
    return page_of(
        await breaker_reset.list_breakers(rt), lambda breaker: breaker.source, cursor, limit
    )


@router.delete(
    "/v1/breakers/{source}",
    status_code=204,
    dependencies=[requires(Permission.KILL_SWITCH)],
    responses=documented(401, 403, 404, 422),
)
async def reset(rt: Rt, actor: Actor, source: SourceName) -> Response:
    """Trust the source as before. What it had contained until now is not held against it."""
    await breaker_reset.reset_breaker(rt, source, actor=actor)
    return Response(status_code=204)
