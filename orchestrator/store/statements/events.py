"""Audit events: added once, by their id."""

from __future__ import annotations

from typing import Any

from orchestrator.store.statements.statement import Statement, insert_into
from orchestrator.store.tables import AuditEventRow

_TABLE: Any = AuditEventRow.__table__  # type: ignore[attr-defined]


def _add(dialect: str) -> Any:
    return insert_into(AuditEventRow, dialect).on_conflict_do_nothing(index_elements=["id"])


ADD_EVENT = Statement(
    "add event", _add, [column.name for column in _TABLE.columns if column.name != "number"]
)
"""Writes no row where the id is known."""
