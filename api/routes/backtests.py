"""Backtests: what would a draft have done about the alerts that came?"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from weakref import WeakKeyDictionary

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Guarded, Who, requires
from api.problems import documented
from api.schemas.backtests import BACKTEST, BacktestDraft, BacktestWish
from api.schemas.examples import shown
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import Draft, Wish, backtested
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden
from orchestrator.playbook.language.durations import duration

MOST_SECONDS = 60

router = APIRouter(tags=["authoring"], route_class=Guarded)
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@router.post(
    "/v1/backtests",
    response_model=Backtest,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(BACKTEST) | documented(401, 403, 404, 422, 503),
)
async def run_backtest(rt: Rt, who: Who, body: BacktestWish) -> object:
    """How a draft differs from what was done about stored alerts. Nothing is changed; one at a time, for at most 60 seconds.

    It shows alerts, so it takes the permission to read them too.
    """
    if not who.may(Permission.READ):
        raise Forbidden(
            f"{who.person} may not; a backtest shows alerts, and takes the permission {Permission.READ} too"
        )
    wish = Wish(
        since=timedelta(seconds=duration(body.since)),
        source=body.source,
        limit=body.limit,
        reads=body.reads,
        policy=body.policy,
    )
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await backtested(rt, _draft(body), wish, seconds=MOST_SECONDS)


def _draft(body: BacktestWish) -> Draft:
    if isinstance(body.playbook, BacktestDraft):
        return Draft(text=body.playbook.text, tests=body.playbook.tests)
    return Draft(name=body.playbook.name, version=body.playbook.version)
