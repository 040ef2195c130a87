"""Queries of alerts, and of the runs that they start."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.tables import AlertRow, RunKeyRow, RunRow

_COUNTED_FOR = timedelta(hours=1)


async def free(session: AsyncSession, run_id: str) -> None:
    """Free the key of a run, so that it covers no later alert."""
    await session.execute(delete(RunKeyRow).where(col(RunKeyRow.run_id) == run_id))


async def runs_since(session: AsyncSession, playbook: str, since: datetime) -> int:
    """Return how many live runs of a playbook alerts started since a moment, within its limit."""
    counted = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.playbook) == playbook,
            col(RunRow.mode) == Mode.LIVE,
            col(RunRow.created_at) >= since,
            col(RunRow.over_limit).is_(None),
            col(RunRow.status) != RunStatus.DEFERRED,
        )
    )
    return int(await session.scalar(counted) or 0)


async def open_runs_of(session: AsyncSession, source: str, severity: int, now: datetime) -> int:
    """Return how many live runs of a source, this severe or more, are open.

    Those that began more than an hour ago do not count: a run may wait for days.
    """
    counted = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.ended_at).is_(None),
            col(RunRow.source) == source,
            col(RunRow.mode) == Mode.LIVE,
            func.coalesce(col(RunRow.begun_at), col(RunRow.created_at)) >= now - _COUNTED_FOR,
            col(RunRow.severity) >= severity,
            col(RunRow.status).in_([status for status in RunStatus if status.open]),
        )
    )
    return int(await session.scalar(counted) or 0)


async def raw_of(session: AsyncSession, alert: AlertRow) -> bytes:
    """Return the body that the alert was sent in, byte for byte. Alerts of one body share it."""
    if alert.raw:
        return alert.raw
    wanted = select(col(AlertRow.raw)).where(
        col(AlertRow.raw_sha256) == alert.raw_sha256, func.length(col(AlertRow.raw)) > 0
    )
    return await session.scalar(wanted.limit(1)) or b""
