"""Queries on what depends on the versions of a playbook: open runs and live leases."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import LeaseState
from orchestrator.domain.run import RunStatus
from orchestrator.store.tables import LeaseRow, RunRow

_UNFINISHED = [status.value for status in RunStatus if not status.over]


async def list_open_runs(session: AsyncSession, playbook: str) -> dict[int, list[str]]:
    """Return the ids of open runs by version, oldest first."""
    wanted = (
        select(RunRow)
        .where(
            col(RunRow.ended_at).is_(None),
            col(RunRow.playbook) == playbook,
            col(RunRow.status).in_(_UNFINISHED),
        )
        .order_by(col(RunRow.created_at))
    )
    found: dict[int, list[str]] = {}
    for run in await session.scalars(wanted):
        found.setdefault(run.version, []).append(run.id)
    return found


async def count_live_leases(session: AsyncSession, playbook: str) -> dict[int, int]:
    """Count the live leases of runs by version."""
    wanted = (
        select(col(RunRow.version), func.count())
        .join(LeaseRow, col(LeaseRow.run_id) == col(RunRow.id))
        .where(col(RunRow.playbook) == playbook, col(LeaseRow.state) == LeaseState.LIVE)
        .group_by(col(RunRow.version))
    )
    return {int(version): int(count) for version, count in (await session.execute(wanted)).all()}
