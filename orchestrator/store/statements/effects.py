"""Effects: the intent, and what became of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, or_, update
from sqlmodel import col

from orchestrator.domain.containment import MAY_BE_IN_FORCE, EffectState
from orchestrator.store.statements.statement import Statement, insert_into
from orchestrator.store.tables import EffectRow

_TABLE: Any = EffectRow.__table__  # type: ignore[attr-defined]
_BY_ID = col(EffectRow.id) == bindparam("effect")


@lru_cache(maxsize=16)
def record_intent(given: frozenset[str]) -> Statement:
    """Return the statement that records an intent; it replaces one of the same id."""

    def build(dialect: str) -> Any:
        statement = insert_into(EffectRow, dialect)
        fresh = {name: statement.excluded[name] for name in sorted(given - {"id"})}
        return statement.on_conflict_do_update(
            index_elements=["id"], set_={**fresh, "output": None, "ended_at": None}
        )

    return Statement("record intent", build, sorted(given))


def _outcome(*more: str) -> Statement:
    values: Any = {name: bindparam(f"new_{name}") for name in ("state", "ended_at", *more)}
    return Statement("record outcome", lambda _: update(_TABLE).where(_BY_ID).values(values))


SET_OUTCOME = _outcome()
SET_OUTCOME_WITH_OUTPUT = _outcome("output")


def _verified(_: str) -> Any:
    in_force = or_(*(col(EffectRow.state) == state for state in sorted(MAY_BE_IN_FORCE)))
    return update(_TABLE).where(_BY_ID, in_force).values(state=EffectState.VERIFIED)


MARK_VERIFIED = Statement("mark effect as verified", _verified)
