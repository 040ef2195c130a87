"""Queries on steps: one row per path of a run, updated as the step proceeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import StepState, WaitingFor
from orchestrator.store.dialect import insert
from orchestrator.store.search.index import index_steps
from orchestrator.store.tables import StepRow

_CHUNK = 200
_KEYS = {"run_id", "path", "started_at"}
_OF_ONE_ATTEMPT = {
    "connection",
    "action",
    "inputs",
    "inputs_digest",
    "planned_change",
    "planned",
    "verdict",
    "asked",
    "error",
    "failure",
    "ended_at",
}
"""Columns that a step of a later attempt does not take over."""


async def save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert or update steps, which then wait for nothing unless `waiting_for` is given.

    Omitted columns keep their value, and so does `started_at`: unless they are of an earlier
    attempt of the run. A step of a later attempt is left alone.
    """
    by_columns: dict[frozenset[str], dict[tuple[str, str], dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(frozenset(row), {})[row["run_id"], row["path"]] = row
    for group in by_columns.values():
        batch = list(group.values())
        for start in range(0, len(batch), _CHUNK):
            await _save(session, batch[start : start + _CHUNK])
            await index_steps(session, batch[start : start + _CHUNK])


async def _save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    statement = insert(session, StepRow)
    written = [{"result": None, "waiting_for": None, **row} for row in rows]
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "path"],
            set_=_fresh(statement, {*rows[0], "waiting_for"}),
            where=col(StepRow.attempt) <= statement.excluded.attempt,
        ),
        written,
    )


def _fresh(statement: Any, given: Collection[str]) -> dict[str, Any]:
    """Return the columns after an update: those that are given, and none of an earlier attempt."""
    fresh = {name: statement.excluded[name] for name in given if name not in _KEYS}
    same = col(StepRow.attempt) == statement.excluded.attempt
    fresh["started_at"] = case((same, col(StepRow.started_at)), else_=statement.excluded.started_at)
    for name in _OF_ONE_ATTEMPT - set(given):
        fresh[name] = case((same, getattr(StepRow, name)), else_=literal_column("NULL"))
    return fresh


async def begin(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Insert steps that began. A known step is left alone: it may have gone on by now.

    Unless it is of an earlier attempt, or repeats its steps after a pause.
    """
    if not rows:
        return
    statement = insert(session, StepRow)
    written = [{"result": None, "waiting_for": None, **row} for row in rows]
    paused = (col(StepRow.kind) == "repeat") & (col(StepRow.state) == StepState.WAITING)
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["run_id", "path"],
            set_=_fresh(statement, written[0]),
            where=or_(col(StepRow.attempt) < statement.excluded.attempt, paused),
        ),
        written,
    )


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
