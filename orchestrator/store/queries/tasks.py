"""Queries on tasks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.store.search.conditions import in_order, tasks_where
from orchestrator.store.search.filters import Order, TaskFilter
from orchestrator.store.tables import TaskRow


async def get(session: AsyncSession, id_: str, *, locked: bool = False) -> TaskRow | None:
    """Return a task, locked until the transaction ends where asked."""
    wanted = select(TaskRow).where(col(TaskRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if locked else wanted)


async def add(session: AsyncSession, task: TaskRow) -> None:
    """Insert a task."""
    session.add(task)
    await session.flush()


async def list_page(
    session: AsyncSession,
    wanted: TaskFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[TaskRow]:
    """Return the tasks that follow `after`."""
    chosen = select(TaskRow).where(*tasks_where(wanted))
    columns = (col(TaskRow.opened_at), col(TaskRow.id))
    return list(await session.scalars(in_order(chosen, *columns, after, limit, order)))


async def newest(session: AsyncSession, kind: TaskKind, subject: str) -> TaskRow | None:
    """Return the newest task of a kind and subject."""
    wanted = select(TaskRow).where(col(TaskRow.kind) == kind, col(TaskRow.subject) == subject)
    order = (col(TaskRow.opened_at).desc(), col(TaskRow.id).desc())
    return await session.scalar(wanted.order_by(*order).limit(1))


async def newest_closed(session: AsyncSession, kind: TaskKind, subject: str) -> datetime | None:
    """Return when the newest closed task of a kind and subject was closed; None without one."""
    wanted = select(func.max(col(TaskRow.closed_at))).where(
        col(TaskRow.kind) == kind,
        col(TaskRow.subject) == subject,
        col(TaskRow.state) == TaskState.CLOSED,
    )
    return await session.scalar(wanted)


async def list_open(
    session: AsyncSession, kind: TaskKind, subject: str | None = None
) -> list[TaskRow]:
    """Return the open tasks of a kind, and of one subject where it is given."""
    wanted = select(TaskRow).where(_OPEN, col(TaskRow.kind) == kind)
    if subject is not None:
        wanted = wanted.where(col(TaskRow.subject) == subject)
    return list(await session.scalars(wanted))


_OPEN = col(TaskRow.closed_at).is_(None) & (col(TaskRow.state) == TaskState.OPEN)
"""The tasks that are open, and what their index is of."""
