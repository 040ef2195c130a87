"""Runs: what playbooks do and did."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt, Temporal
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.schemas.runs import Run, RunWithSteps, StartRun
from orchestrator.domain.access import Permission
from orchestrator.domain.run import RunStatus
from orchestrator.runs import lifecycle, queries

router = APIRouter(tags=["runs"], route_class=Guarded)

RunId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/runs",
    response_model=Page[Run],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_runs(
    rt: Rt,
    incident_id: Annotated[
        str | None, Query(max_length=200, examples=["inc_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    status: Annotated[RunStatus | None, Query(examples=["waiting"])] = None,
    playbook: Annotated[
        str | None, Query(max_length=64, examples=["c2-beacon-containment"])
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Runs, newest first, without their steps."""
    return await queries.list_runs(
        rt, incident_id=incident_id, status=status, playbook=playbook, cursor=cursor, limit=limit
    )


@router.post(
    "/v1/runs",
    status_code=201,
    response_model=RunWithSteps,
    dependencies=[requires(Permission.RUN_START)],
    responses=documented(401, 403, 404, 409, 422),
)
async def start_run(rt: Rt, client: Temporal, actor: Actor, body: StartRun) -> object:
    """Start a playbook by hand. It is committed first, and begins even when Temporal is down now."""
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


@router.get(
    "/v1/runs/{run_id}",
    response_model=RunWithSteps,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_run(rt: Rt, run_id: RunId) -> object:
    """One run with its steps: states, times, inputs with secrets masked, planned_changes, errors."""
    return await queries.get_run(rt, run_id)


@router.post(
    "/v1/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunWithSteps,
    dependencies=[requires(Permission.RUN_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def cancel_run(rt: Rt, client: Temporal, actor: Actor, run_id: RunId) -> object:
    """End a run; what it changed is taken back as its playbook says."""
    return await lifecycle.cancel_run(rt, client, run_id, actor=actor)


@router.post(
    "/v1/runs/{run_id}/retry",
    status_code=202,
    response_model=RunWithSteps,
    dependencies=[requires(Permission.RUN_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def retry_run(rt: Rt, client: Temporal, actor: Actor, run_id: RunId) -> object:
    """Go on from the step that failed, as the run's next attempt."""
    return await lifecycle.retry_run(rt, client, run_id, actor=actor)
