"""Runs: begun, moved on, and ended."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import RunStatus
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import RunRow

_TABLE: Any = RunRow.__table__  # type: ignore[attr-defined]
_EXECUTION = bindparam("by_execution", type_=_TABLE.c.execution.type)


def _open() -> Any:
    """Return an UPDATE of a run that is open, in one attempt."""
    return update(_TABLE).where(
        col(RunRow.id) == bindparam("run"),
        col(RunRow.attempt) == bindparam("of_attempt"),
        or_(*(col(RunRow.status) == status for status in RunStatus if status.open)),
    )


def _begin(_: str) -> Any:
    first = func.coalesce(col(RunRow.execution), _EXECUTION)
    return _open().values(status=RunStatus.RUNNING, error=None, execution=first)


def _end(_: str) -> Any:
    own = or_(_EXECUTION.is_(None), func.coalesce(col(RunRow.execution), _EXECUTION) == _EXECUTION)
    return _set_status(_).where(own)


def _set_status(_: str) -> Any:
    return _open().values(
        {name: bindparam(f"new_{name}") for name in ("status", "error", "ended_at")}
    )


class RunState(NamedTuple):
    """The columns of a run that tell whether a workflow may act for it."""

    status: RunStatus
    attempt: int
    execution: str | None


_STATE = Statement(
    "read state of run",
    lambda _: select(*(_TABLE.c[name] for name in RunState._fields)).where(
        _TABLE.c.id == bindparam("run")
    ),
)


async def run_state(session: AsyncSession, run_id: str) -> RunState | None:
    """Return the state of a run."""
    found = await _STATE.rows(session, {"run": run_id})
    return RunState(*found[0]) if found else None


BEGIN_RUN = Statement("begin run", _begin)
"""The first execution stays."""
SET_RUN_STATUS = Statement("set status of run", _set_status)
END_RUN = Statement("end run", _end)
"""`by_execution` None: whichever workflow carries it out."""
