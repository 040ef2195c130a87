"""Queries on steps: one row per path of a run, updated as the step proceeds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import StepState
from orchestrator.store.dialect import insert
from orchestrator.store.tables import StepRow

_CHUNK = 200


async def save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or update steps. Omitted columns keep their value, and so does `started_at`."""
    by_columns: dict[frozenset[str], dict[tuple[str, str], dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(frozenset(row), {})[row["run_id"], row["path"]] = row
    for group in by_columns.values():
        batch = list(group.values())
        for start in range(0, len(batch), _CHUNK):
            await _save(session, batch[start : start + _CHUNK])


async def _save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    statement = insert(session, StepRow)
    kept = {"run_id", "path", "started_at"}
    fresh = {name: statement.excluded[name] for name in rows[0] if name not in kept}
    written = [{"result": None, **row} for row in rows]
    await session.execute(
        statement.on_conflict_do_update(index_elements=["run_id", "path"], set_=fresh), written
    )


async def interrupt_waiting(session: AsyncSession, run_id: str, error: str, now: datetime) -> None:
    """Mark the waiting steps of a run that ended as interrupted."""
    waited = (col(StepRow.run_id) == run_id) & (col(StepRow.state) == StepState.WAITING)
    await session.execute(
        update(StepRow).where(waited).values(state=StepState.INTERRUPTED, error=error, ended_at=now)
    )


async def get(session: AsyncSession, run_id: str, path: str) -> StepRow | None:
    """Return a step."""
    return await session.get(StepRow, (run_id, path))


async def of_run(session: AsyncSession, run_id: str, limit: int = 100_000) -> list[StepRow]:
    """Return the steps of a run in the order in which they began."""
    wanted = (
        select(StepRow)
        .where(col(StepRow.run_id) == run_id)
        .order_by(col(StepRow.seq), col(StepRow.path))
    )
    return list(await session.scalars(wanted.limit(limit)))


async def results_of(
    session: AsyncSession, run_id: str, actions: Sequence[str], limit: int = 200
) -> list[Any]:
    """Return the results of these actions in a run, newest first."""
    wanted = select(StepRow.result).where(
        col(StepRow.run_id) == run_id, col(StepRow.action).in_(actions)
    )
    return list(await session.scalars(wanted.order_by(col(StepRow.seq).desc()).limit(limit)))


async def last_seq(session: AsyncSession, run_id: str) -> int:
    """Return the highest sequence number of a run's steps; 0 when it has none."""
    return (
        await session.scalar(select(func.max(StepRow.seq)).where(col(StepRow.run_id) == run_id))
        or 0
    )
