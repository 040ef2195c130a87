"""Routes of tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.lists import Tasks
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.schemas.containments import CloseTask
from orchestrator.domain.access import Permission
from orchestrator.incidents import tasks
from orchestrator.incidents.views import TaskView
from orchestrator.store.search.filters import Order

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
    rt: Rt, wanted: Tasks, sort: Sort = Order.NEWEST, cursor: Cursor = None, limit: Limit = 50
) -> Page[TaskView]:
    """List tasks, by the time when they were opened; without `state`, the open ones."""
    return await tasks.list_tasks(rt, wanted, order=sort, cursor=cursor, limit=limit)


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
