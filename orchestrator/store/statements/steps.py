"""Steps: saved as they proceed, and begun unless they are known."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

from sqlalchemy import case, literal_column, or_
from sqlmodel import col

from orchestrator.domain.run import StepState
from orchestrator.store.statements.statement import Statement, insert_into
from orchestrator.store.tables import StepRow

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


@lru_cache(maxsize=256)
def save_step(given: frozenset[str]) -> Statement:
    """Return the statement that saves a step with these columns, and `result` and `waiting_for`.

    A step of a later attempt is left alone.
    """

    def build(dialect: str) -> Any:
        statement = insert_into(StepRow, dialect)
        return statement.on_conflict_do_update(
            index_elements=["run_id", "path"],
            set_=_fresh(statement, {*given, "waiting_for"}),
            where=col(StepRow.attempt) <= statement.excluded.attempt,
        )

    return Statement("save step", build, written(given))


@lru_cache(maxsize=256)
def begin_step(given: frozenset[str]) -> Statement:
    """Return the statement that inserts a step with these columns.

    A known one is left alone, unless it is of an earlier attempt, or repeats its steps after a
    pause.
    """

    def build(dialect: str) -> Any:
        statement = insert_into(StepRow, dialect)
        paused = (col(StepRow.kind) == "repeat") & (col(StepRow.state) == StepState.WAITING)
        return statement.on_conflict_do_update(
            index_elements=["run_id", "path"],
            set_=_fresh(statement, {*given, "result", "waiting_for"}),
            where=or_(col(StepRow.attempt) < statement.excluded.attempt, paused),
        )

    return Statement("begin step", build, written(given))


def written(given: Collection[str]) -> tuple[str, ...]:
    """Return the columns of a new row: those that are given, and those that are never left out."""
    return tuple(sorted({*given, "result", "waiting_for"}))


def _fresh(statement: Any, given: Collection[str]) -> dict[str, Any]:
    """Return the columns after an update: those that are given, and none of an earlier attempt."""
    fresh = {name: statement.excluded[name] for name in sorted(given) if name not in _KEYS}
    same = col(StepRow.attempt) == statement.excluded.attempt
    fresh["started_at"] = case((same, col(StepRow.started_at)), else_=statement.excluded.started_at)
    for name in sorted(_OF_ONE_ATTEMPT - set(given)):
        fresh[name] = case((same, getattr(StepRow, name)), else_=literal_column("NULL"))
    return fresh
