"""Routes of tasks."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.schemas.containments import CloseTask
from orchestrator.domain.access import Permission
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.incidents import tasks
from orchestrator.incidents.views import TaskView

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)

TaskId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["task_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/tasks",
    response_model=Page[TaskView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_tasks(
    rt: Rt,
    state: Annotated[Literal["open", "closed", "all"], Query(examples=["open"])] = "open",
    kind: Annotated[TaskKind | None, Query(examples=["stuck_release"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[TaskView]:
    """List tasks, newest first: the open ones unless `state` says otherwise."""
    chosen = None if state == "all" else TaskState(state)
    return await tasks.list_tasks(rt, state=chosen, kind=kind, cursor=cursor, limit=limit)


@router.get(
    "/v1/tasks/{task_id}",
    response_model=TaskView,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_task(rt: Rt, task_id: TaskId) -> TaskView:
    """Return one task."""
    return await tasks.get_task(rt, task_id)


@router.post(
    "/v1/tasks/{task_id}/close",
    response_model=TaskView,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def close_task(rt: Rt, actor: Actor, task_id: TaskId, body: CloseTask) -> TaskView:
    """Close a task. Its subject stays as it is; found again, it opens another task."""
    return await tasks.close_task(rt, task_id, comment=body.comment, actor=actor)
