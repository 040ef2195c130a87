"""Tasks: opened once per kind and subject, listed, and closed by people or by the system."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.incidents.views import TaskView
from orchestrator.notifications.outbox import notify_task
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import tasks
from orchestrator.store.search.filters import Order, TaskFilter
from orchestrator.store.tables import TaskRow

MAX_COMMENT = 2000
MAX_SUMMARY = 2000
OPEN = TaskFilter(state=(TaskState.OPEN,))


async def list_tasks(
    rt: Runtime,
    wanted: TaskFilter = OPEN,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[TaskView]:
    """Return tasks. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await tasks.list_page(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
    last = (rows[-1].opened_at, rows[-1].id) if rows else None
    return make_page([TaskView.of(row) for row in rows], limit, last)


async def get_task(rt: Runtime, task_id: str) -> TaskView:
    """Return one task. Raise NotFound."""
    async with rt.store.read() as session:
        row = await tasks.get(session, task_id)
    if row is None:
        raise _unknown(task_id)
    return TaskView.of(row)


async def close_task(rt: Runtime, task_id: str, *, comment: str, actor: str) -> TaskView:
    """Close a task. Its subject stays as it is; found again, it opens another task.

    Raise NotFound, Invalid (no comment), Conflict (closed already, or closed by a review only).
    """
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say what was done, in 1 to {MAX_COMMENT} characters")
    async with rt.store.write() as session:
        row = await tasks.get(session, task_id, locked=True)
        if row is None:
            raise _unknown(task_id)
        if row.state == TaskState.CLOSED:
            raise Conflict(f"task {task_id} was closed by {row.closed_by}")
        if row.kind.is_closed_by_review:
            raise Conflict(
                "a break-glass task closes when the approval is reviewed: "
                f"`tocsin approval review {row.subject}`"
            )
        await close(session, row, actor, comment, rt.clock())
    return TaskView.of(row)


async def open_task(
    session: AsyncSession,
    *,
    kind: TaskKind,
    subject: str,
    summary: str,
    now: datetime,
    to_group: str | None = None,
) -> str:
    """Return the id of the open task of this kind and subject; open it where there is none."""
    await lock(session, Lock.TASK, [f"{kind} {subject}"])
    if known := await tasks.list_open(session, kind, subject):
        return known[0].id
    task = TaskRow(
        id=new_id("task"),
        kind=kind,
        subject=subject,
        summary=summary[:MAX_SUMMARY],
        to_group=to_group,
        opened_at=now,
    )
    await tasks.add(session, task)
    data = {"kind": kind, "subject": subject, "summary": task.summary, "to": to_group}
    await trail.record(
        session, EventKind.TASK_OPENED, actor="system", subject=task.id, data=data, now=now
    )
    await notify_task(session, task, now)
    return task.id


async def close_tasks(
    session: AsyncSession, kind: TaskKind, subject: str, by: str, comment: str, now: datetime
) -> int:
    """Close the open tasks of this kind and subject. Return how many. `by`: an actor."""
    await lock(session, Lock.TASK, [f"{kind} {subject}"])
    found = await tasks.list_open(session, kind, subject)
    for task in found:
        await close(session, task, by, comment, now)
    return len(found)


async def close(session: AsyncSession, task: TaskRow, by: str, comment: str, now: datetime) -> None:
    """Close an open task, with an audit event."""
    task.close(by, comment, now)
    data = {"kind": task.kind, "subject": task.subject, "comment": comment}
    await trail.record(
        session, EventKind.TASK_CLOSED, actor=by, subject=task.id, data=data, now=now
    )


def _unknown(task_id: str) -> NotFound:
    return NotFound(f"task {task_id} does not exist; `tocsin task list` lists them")
