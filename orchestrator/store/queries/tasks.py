"""How do tasks lie in the store? What needs a person is opened once, however often it is found, and is open until it is closed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.tables import TaskRow


async def get(session: AsyncSession, id_: str, *, locked: bool = False) -> TaskRow | None:
    """The task."""
    wanted = select(TaskRow).where(col(TaskRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if locked else wanted)


async def page(
    session: AsyncSession,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    state: str | None,
    kind: str | None,
) -> list[TaskRow]:
    """Tasks, newest first, older than `after`."""
    wanted = select(TaskRow)
    if state is not None:
        wanted = wanted.where(col(TaskRow.state) == state)
    if kind is not None:
        wanted = wanted.where(col(TaskRow.kind) == kind)
    if after is not None:
        at, last = after
        wanted = wanted.where(
            (col(TaskRow.opened_at) < at)
            | ((col(TaskRow.opened_at) == at) & (col(TaskRow.id) < last))
        )
    return list(
        await session.scalars(
            wanted.order_by(col(TaskRow.opened_at).desc(), col(TaskRow.id).desc()).limit(limit)
        )
    )


async def open_of(session: AsyncSession, kind: str, subject: str) -> list[TaskRow]:
    wanted = select(TaskRow).where(
        col(TaskRow.kind) == kind, col(TaskRow.subject) == subject, col(TaskRow.state) == "open"
    )
    return list(await session.scalars(wanted))
