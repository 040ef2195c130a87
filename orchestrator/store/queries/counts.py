"""Counts for metrics."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import RunStatus
from orchestrator.store.queries import runs
from orchestrator.store.tables import ApprovalRow, RunRow


class Counts(NamedTuple):
    """Numbers of rows at one moment."""

    runs: dict[str, int]
    """By status."""
    pending_approvals: int
    undispatched_runs: int


async def all_counts(session: AsyncSession) -> Counts:
    """Return the current counts."""
    pending = (
        select(func.count()).select_from(ApprovalRow).where(col(ApprovalRow.state) == "pending")
    )
    still_open = [status.value for status in RunStatus if status.open]
    waiting = (
        select(func.count())
        .select_from(RunRow)
        .where(col(RunRow.dispatched).is_(False), col(RunRow.status).in_(still_open))
    )
    return Counts(
        await runs.count_by_status(session),
        await session.scalar(pending) or 0,
        await session.scalar(waiting) or 0,
    )
