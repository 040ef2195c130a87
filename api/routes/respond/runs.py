"""Routes of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt, Temporal
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.bulk import RetryRuns
from api.filters.lists import Runs
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.schemas.runs import StartRun
from orchestrator.domain.access import Permission
from orchestrator.runs import bulk_retry, lifecycle, queries
from orchestrator.runs.bulk_retry import RunRetries
from orchestrator.runs.views import RunDetails, RunView
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["runs"], route_class=GuardedRoute)

RunId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/runs",
    response_model=Page[RunView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_runs(
    rt: Rt, wanted: Runs, sort: Sort = Order.NEWEST, cursor: Cursor = None, limit: Limit = 50
) -> Page[RunView]:
    """List runs without their steps, by the time of their creation."""
    return await queries.list_runs(rt, wanted, order=sort, cursor=cursor, limit=limit)


@router.post(
    "/v1/runs",
    status_code=201,
    response_model=RunDetails,
    dependencies=[requires(Permission.RUN_START)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def start_run(rt: Rt, client: Temporal, actor: Actor, body: StartRun) -> RunDetails:
    """Start a playbook. The run begins even if Temporal is down now."""
    return await lifecycle.start_run(
        rt,
        client,
        body.playbook,
        version=body.version,
        inputs=body.inputs,
        alert_id=body.alert_id,
        mode=body.mode,
        actor=actor,
    )


@router.post(
    "/v1/runs/retry",
    response_model=RunRetries,
    dependencies=[requires(Permission.RUN_CONTROL)],
    responses=error_responses(401, 403, 409, 422),
)
async def retry_runs(rt: Rt, client: Temporal, actor: Actor, body: RetryRuns) -> RunRetries:
    """Retry runs that a filter or ids choose, up to 500 at once, each with its own result.

    Send `preview: true` first, then the same request with the `count` and `digest` of its answer.
    """
    wanted = body.wanted()
    if body.preview:
        return await bulk_retry.preview_retry(rt, wanted)
    expected = body.expected(by_id=body.ids is not None)
    return await bulk_retry.retry_runs(rt, client, wanted, expected=expected, actor=actor)


@router.get(
    "/v1/runs/{run_id}",
    response_model=RunDetails,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_run(rt: Rt, run_id: RunId) -> RunDetails:
    """Return one run with its steps; secrets are masked."""
    return await queries.get_run(rt, run_id)


@router.post(
    "/v1/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunDetails,
    dependencies=[requires(Permission.RUN_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def cancel_run(rt: Rt, client: Temporal, actor: Actor, run_id: RunId) -> RunDetails:
    """Cancel a run; its changes are rolled back as its playbook says."""
    return await lifecycle.cancel_run(rt, client, run_id, actor=actor)


@router.post(
    "/v1/runs/{run_id}/retry",
    status_code=202,
    response_model=RunDetails,
    dependencies=[requires(Permission.RUN_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def retry_run(rt: Rt, client: Temporal, actor: Actor, run_id: RunId) -> RunDetails:
    """Continue from the step that failed, as the next attempt of the run."""
    return await lifecycle.retry_run(rt, client, run_id, actor=actor)
