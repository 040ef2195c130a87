"""Tasks: what needs a person."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from api.container import Rt
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.schemas.tasks import Closing, Task
from orchestrator.domain.access import Permission
from orchestrator.incidents import tasks

router = APIRouter(tags=["tasks"], route_class=Guarded)

TaskId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["task_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/tasks",
    response_model=Page[Task],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_tasks(
    rt: Rt,
    state: Annotated[Literal["open", "closed", "all"], Query(examples=["open"])] = "open",
    kind: Annotated[str | None, Query(max_length=64, examples=["stuck_release"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """What needs a person, newest first: what is open, unless told otherwise."""
    return await tasks.list_tasks(
        rt, state=None if state == "all" else state, kind=kind, cursor=cursor, limit=limit
    )


@router.get(
    "/v1/tasks/{task_id}",
    response_model=Task,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_task(rt: Rt, task_id: TaskId) -> object:
    """One task."""
    return await tasks.get_task(rt, task_id)


@router.post(
    "/v1/tasks/{task_id}/close",
    response_model=Task,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def close_task(rt: Rt, actor: Actor, task_id: TaskId, body: Closing) -> object:
    """Close a task. What it is about stays as it is; found again, it opens another."""
    return await tasks.close_task(rt, task_id, comment=body.comment, actor=actor)
