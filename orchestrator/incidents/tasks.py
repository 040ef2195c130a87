"""What needs a person? Tasks, listed and closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.notifications.outbox import notify_task
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import tasks
from orchestrator.store.tables import TaskRow

MAX_COMMENT = 2000
MAX_SUMMARY = 2000


async def list_tasks(
    rt: Runtime,
    *,
    state: str | None = "open",
    kind: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Tasks, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await tasks.page(
            session, after=after(cursor), limit=bounded(limit), state=state, kind=kind
        )
    return page(
        [_view(row) for row in rows], limit, (rows[-1].opened_at, rows[-1].id) if rows else None
    )


async def get_task(rt: Runtime, task_id: str) -> dict[str, Any]:
    """One task. Raises NotFound."""
    async with rt.store.read() as session:
        row = await tasks.get(session, task_id)
    if row is None:
        raise NotFound(f"there is no task {task_id}; `tocsin task list` lists them")
    return _view(row)


async def close_task(rt: Runtime, task_id: str, *, comment: str, actor: str) -> dict[str, Any]:
    """Closes a task; what it is about stays as it is, and opens another if it is found again. Raises NotFound, Conflict, Invalid."""
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say what was done, in 1 to {MAX_COMMENT} characters")
    async with rt.store.write() as session:
        row = await tasks.get(session, task_id, locked=True)
        if row is None:
            raise NotFound(f"there is no task {task_id}; `tocsin task list` lists them")
        if row.state != "open":
            raise Conflict(f"task {task_id} was closed by {row.closed_by}")
        if row.kind == "break_glass":
            raise Conflict(
                f"a broken glass is closed by its review: `tocsin approval review {row.subject}`"
            )
        await close(session, row, actor, comment, rt.clock())
    return _view(row)


async def open_task(
    session: AsyncSession,
    *,
    kind: str,
    subject: str,
    summary: str,
    now: datetime,
    to_group: str | None = None,
) -> str:
    """The id of the open task of that kind and subject, opened, audited and told to people where there is none."""
    await lock(session, Lock.TASK, [f"{kind} {subject}"])
    if known := await tasks.open_of(session, kind, subject):
        return known[0].id
    task = TaskRow(
        id=new_id("task"),
        kind=kind,
        subject=subject,
        summary=summary[:MAX_SUMMARY],
        to_group=to_group,
        state="open",
        opened_at=now,
    )
    session.add(task)
    await session.flush()
    told = {"kind": kind, "subject": subject, "summary": task.summary, "to": to_group}
    await trail.record(
        session, EventKind.TASK_OPENED, actor="system", subject=task.id, data=told, now=now
    )
    await notify_task(session, task, now)
    return task.id


async def close_tasks(
    session: AsyncSession, kind: str, subject: str, by: str, comment: str, now: datetime
) -> int:
    """Closes the open task of that kind and subject, if there is one; how many. `by`: as the trail names an actor."""
    await lock(session, Lock.TASK, [f"{kind} {subject}"])
    found = await tasks.open_of(session, kind, subject)
    for task in found:
        await close(session, task, by, comment, now)
    return len(found)


async def close(session: AsyncSession, task: TaskRow, by: str, comment: str, now: datetime) -> None:
    """Closes a task that is open."""
    task.state, task.closed_at, task.closed_by, task.comment = "closed", now, by, comment
    told = {"kind": task.kind, "subject": task.subject, "comment": comment}
    await trail.record(
        session, EventKind.TASK_CLOSED, actor=by, subject=task.id, data=told, now=now
    )


def _view(row: TaskRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "summary": row.summary,
        "to_group": row.to_group,
        "state": row.state,
        "opened_at": said(row.opened_at),
        "closed_at": said(row.closed_at),
        "closed_by": row.closed_by,
        "comment": row.comment,
    }
