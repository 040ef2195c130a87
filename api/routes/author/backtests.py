"""Routes of backtests."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from fastapi import APIRouter

from api.container import Rt, Temporal
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.problems import error_responses
from api.schemas.backtests import RunBacktest
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import run_backtest_for_api
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden

MOST_SECONDS = 60

router = APIRouter(tags=["authoring"], route_class=GuardedRoute)
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@router.post(
    "/v1/backtests",
    response_model=Backtest,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 422, 503),
)
async def run_backtest(
    rt: Rt, client: Temporal, who: CurrentPrincipal, body: RunBacktest
) -> Backtest:
    """Replay a playbook over stored alerts, and compare with what was done. Nothing is changed.

    One backtest runs at a time, for at most 60 seconds. Requires the permission `read` too, as the
    result shows alerts. Live reads run on a worker.
    """
    if not who.has_permission(Permission.READ):
        raise Forbidden(f"{who.person} lacks permission {Permission.READ}: a backtest shows alerts")
    playbook, request = body.to_playbook(), body.to_request()
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await run_backtest_for_api(rt, client, playbook, request, seconds=MOST_SECONDS)
