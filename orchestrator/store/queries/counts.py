"""Counts for metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.incident import TaskState
from orchestrator.domain.notification import NotificationState
from orchestrator.domain.run import RunStatus
from orchestrator.store.queries import audit, runs
from orchestrator.store.queries.containments.due import IS_LIVE_INDEXED
from orchestrator.store.tables import (
    ApprovalRow,
    ContainmentRow,
    LeaseRow,
    NotificationRow,
    RunRow,
    TaskRow,
)
from orchestrator.store.tables.columns import is_literally

UNSENT = (NotificationState.WAITING, NotificationState.FAILED)


class Counts(NamedTuple):
    """Numbers of rows at one moment."""

    runs: dict[str, int]
    """Those that have not ended, by status."""
    pending_approvals: int
    undispatched_runs: int
    containments: dict[str, int]
    """By state."""
    tasks: dict[str, int]
    """Open tasks by kind."""
    notifications: dict[str, int]
    """Those that wait, and those that failed."""
    oldest_approval: datetime | None
    """When the oldest pending approval was asked for."""
    oldest_unsealed: datetime | None
    """The time of the oldest audit event without a seal."""
    overdue_leases: int
    """Live leases whose end has come, and whose release has not begun."""
    oldest_overdue: datetime | None
    """When the first of them was due."""


async def all_counts(session: AsyncSession, now: datetime) -> Counts:
    """Return the counts as of now."""
    pending = is_literally(ApprovalRow.state, ApprovalState.PENDING)
    asked = select(func.count(), func.min(col(ApprovalRow.asked_at))).where(pending)
    still_open = [status.value for status in RunStatus if status.open]
    waiting = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.ended_at).is_(None),
            col(RunRow.dispatched).is_(False),
            col(RunRow.status).in_(still_open),
        )
    )
    overdue = select(func.count(), func.min(col(LeaseRow.until))).where(
        IS_LIVE_INDEXED, col(LeaseRow.until) <= now
    )
    overdue_leases, oldest_overdue = (await session.execute(overdue)).one()
    pending_approvals, oldest_approval = (await session.execute(asked)).one()
    return Counts(
        await runs.count_by_status(session),
        pending_approvals,
        await session.scalar(waiting) or 0,
        await _by(session, col(ContainmentRow.state)),
        await _by(
            session,
            col(TaskRow.kind),
            col(TaskRow.closed_at).is_(None),
            col(TaskRow.state) == TaskState.OPEN,
        ),
        {state.value: await _count(session, state) for state in UNSENT},
        oldest_approval,
        await audit.oldest_unsealed(session),
        overdue_leases,
        oldest_overdue,
    )


async def _count(session: AsyncSession, state: NotificationState) -> int:
    in_state = is_literally(NotificationRow.state, state)
    counted = select(func.count()).select_from(NotificationRow).where(in_state)
    return await session.scalar(counted) or 0


async def _by(
    session: AsyncSession, column: Mapped[Any], *where: ColumnElement[bool]
) -> dict[str, int]:
    """Return how many rows have each value of a column."""
    found = await session.execute(select(column, func.count()).where(*where).group_by(column))
    return {str(value): count for value, count in found.all()}
