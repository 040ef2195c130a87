"""Refused rows: each that Tocsin did not write is an audit event and a task, once."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import open_task
from orchestrator.runtime import Runtime

NOT_OURS = (
    "was written or deleted past Tocsin, or an older copy of it was put back, and is not used"
)
FIX = (
    "find out who writes to the database; then restore the row from a backup, or delete it and "
    "save it again"
)

_log = structlog.get_logger(__name__)


def report_refused_rows(rt: Runtime) -> None:
    """Have the store report the rows that it refuses in this process."""

    async def report(names: Sequence[str]) -> None:
        for name in names:
            _log.error("row refused", row=name)
            try:
                await _record(rt, name)
            except (TocsinError, SQLAlchemyError, OSError) as error:
                _log.error("refused row not recorded", row=name, error=type(error).__name__)

    rt.store.on_refused = report


async def _record(rt: Runtime, name: str) -> None:
    now = rt.clock()
    async with rt.store.write() as session:
        opened = await open_task(
            session,
            kind=TaskKind.REFUSED_ROW,
            subject=name,
            summary=f"the row {name} {NOT_OURS}; {FIX}",
            now=now,
        )
        await trail.record(
            session,
            EventKind.ROW_REFUSED,
            actor="system",
            subject=name,
            data={"task": opened},
            now=now,
            event_id=trail.event_id(EventKind.ROW_REFUSED, name, opened),
        )
