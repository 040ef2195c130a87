"""Queries on steps: one row per path of a run, updated as the step proceeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import StepState, WaitingFor
from orchestrator.store.search.index import index_steps
from orchestrator.store.statements.steps import begin_step, save_step
from orchestrator.store.tables import StepRow

_EMPTY = {"result": None, "waiting_for": None}


async def save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or update steps, which then wait for nothing unless `waiting_for` is given.

    Omitted columns keep their value, and so does `started_at`: unless they are of an earlier
    attempt of the run. A step of a later attempt is left alone.
    """
    newest = {(row["run_id"], row["path"]): row for row in rows}
    for columns, group in _by_columns(newest.values()):
        await save_step(columns).run_all(session, group)
    await index_steps(session, rows)


async def begin(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert steps that began. A known step is left alone: it may have gone on by now.

    Unless it is of an earlier attempt, or repeats its steps after a pause.
    """
    for columns, group in _by_columns(rows):
        await begin_step(columns).run_all(session, group)


def _by_columns(
    rows: Iterable[dict[str, Any]],
) -> Iterable[tuple[frozenset[str], list[dict[str, Any]]]]:
    """Return rows by the columns that they are given, with those that are never left out."""
    groups: dict[frozenset[str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(frozenset(row), []).append({**_EMPTY, **row})
    return groups.items()


async def wait_for(session: AsyncSession, run_id: str, path: str, waiting_for: WaitingFor) -> bool:
    """Record what a step waits for. Return whether the step is known."""
    result = await session.execute(
        update(StepRow)
        .where(col(StepRow.run_id) == run_id, col(StepRow.path) == path)
        .values(
            state=StepState.WAITING, waiting_for=waiting_for.model_dump(mode="json"), ended_at=None
        )
    )
    return bool(getattr(result, "rowcount", 0))


async def interrupt_open(session: AsyncSession, run_id: str, error: str, now: datetime) -> None:
    """Mark the steps of a run that ended as interrupted, if they were under way or waited."""
    opened = col(StepRow.state).in_([StepState.RUNNING, StepState.WAITING])
    await session.execute(
        update(StepRow)
        .where(col(StepRow.run_id) == run_id, opened)
        .values(state=StepState.INTERRUPTED, error=error, ended_at=now, waiting_for=None)
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
