"""Containments and their leases: created, registered, ended."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, update
from sqlmodel import col

from orchestrator.domain.containment import LeaseState
from orchestrator.store.statements.statement import Statement, insert_into
from orchestrator.store.tables import ContainmentRow, LeaseRow

_LEASES: Any = LeaseRow.__table__  # type: ignore[attr-defined]
_ENDS = ("until", "end_reason", "ended_by", "ended_at", "restored_by")
"""Columns that only a lease that ended has, or one that is about to end."""


@lru_cache(maxsize=16)
def create_containment(given: frozenset[str]) -> Statement:
    """Return the statement that creates a containment where there is none."""

    def build(dialect: str) -> Any:
        return insert_into(ContainmentRow, dialect).on_conflict_do_nothing(index_elements=["key"])

    return Statement("create containment", build, sorted(given))


@lru_cache(maxsize=16)
def register_lease(given: frozenset[str]) -> Statement:
    """Return the statement that inserts a live lease; it revives one that ended."""

    def build(dialect: str) -> Any:
        statement = insert_into(LeaseRow, dialect)
        fresh = {name: statement.excluded[name] for name in sorted(given - {"id"})}
        return statement.on_conflict_do_update(
            index_elements=["id"],
            set_={**fresh, **dict.fromkeys(_ENDS)},
            where=col(LeaseRow.state) != LeaseState.LIVE,
        )

    return Statement("register lease", build, sorted(given))


def _end(_: str) -> Any:
    values: Any = {name: bindparam(f"new_{name}") for name in _ENDS if name != "until"}
    return (
        update(_LEASES)
        .where(col(LeaseRow.id) == bindparam("lease"), col(LeaseRow.state) == LeaseState.LIVE)
        .values(state=LeaseState.ENDED, **values)
    )


END_LEASE = Statement("end lease", _end)
