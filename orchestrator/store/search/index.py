"""The index of observables, written in the transaction that writes what names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.observable import ObservableType
from orchestrator.store.search.names import MAX_VALUE, short_name
from orchestrator.store.statements.statement import Statement, insert_into
from orchestrator.store.tables import AlertRow, ObservableRow
from orchestrator.store.tables.observables import TARGET, SubjectKind

_MAX_INDEXED = 1024
"""Characters of a value; longer ones, such as command lines, exceed an index entry."""


def _add(dialect: str) -> Any:
    added = insert_into(ObservableRow, dialect)
    return added.on_conflict_do_nothing(index_elements=["subject", "type", "value"])


ADD_OBSERVABLE = Statement("index observable", _add, list(ObservableRow.model_fields))
"""Writes no row for what a subject names already."""


def observables_of(alerts: Iterable[AlertRow]) -> list[dict[str, Any]]:
    """Return the rows that index what new alerts name."""
    return _short_enough(
        _row(SubjectKind.ALERT, alert.id, found["type"], found["value"], found["role"], at)
        for alert in alerts
        for at in (alert.received_at,)
        for found in alert.view.get("observables", ())
    )


async def index_steps(session: AsyncSession, steps: Iterable[Mapping[str, Any]]) -> None:
    """Index the targets that steps of runs plan to change."""
    rows = [
        _row(SubjectKind.RUN, step["run_id"], *target, TARGET, step["started_at"])
        for step in steps
        for target in _targets([step.get("planned_change")])
    ]
    await _save(session, rows)


async def index_approval(session: AsyncSession, approval: Mapping[str, Any]) -> None:
    """Index the targets of the changes that an approval covers."""
    changes = [change.get("planned_change") for change in approval.get("changes") or ()]
    rows = [
        _row(SubjectKind.APPROVAL, approval["id"], *target, TARGET, approval["asked_at"])
        for target in _targets(changes)
    ]
    await _save(session, rows)


def _targets(planned: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for each in planned:
        target = each.get("target") if isinstance(each, Mapping) else None
        if isinstance(target, Mapping) and target.get("type") in set(ObservableType):
            yield str(target["type"]), str(target["value"])


def _row(
    kind: SubjectKind, subject: str, type_: str, value: str, role: str, at: datetime
) -> dict[str, Any]:
    return {
        "subject": subject,
        "type": str(ObservableType(type_)),
        "value": value[:MAX_VALUE],
        "kind": kind,
        "short": short_name(ObservableType(type_), value),
        "role": str(role),
        "at": at,
    }


async def _save(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    await ADD_OBSERVABLE.run_all(session, _short_enough(rows))


def _short_enough(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if len(row["value"].encode()) <= _MAX_INDEXED]
