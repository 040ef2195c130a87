"""The alarm of the audit trail: a task for what is wrong with it, closed once it is right again."""

from __future__ import annotations

from datetime import datetime

import structlog

from orchestrator.audit.anchor import BrokenTrail
from orchestrator.audit.sealer import seal_pending
from orchestrator.audit.state import Quarantine
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents import tasks
from orchestrator.incidents.trail_health import BROKEN, QUARANTINE, new_quarantine, with_guide
from orchestrator.runtime import Runtime

_log = structlog.get_logger(__name__)


class TrailAlarm:
    """What one process has reported of the trail, so that it reports each change once."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._broken: str | None = None
        self._quarantine = Quarantine()
        self._first = True

    async def seal(self) -> int:
        """Seal pending events, and return their number. Report a broken trail; do not raise it."""
        try:
            sealed = await seal_pending(self._rt)
        except BrokenTrail as error:
            await self._report_broken(str(error))
            sealed = 0
        else:
            await self._report_intact()
        await self._report_quarantine()
        self._first = False
        return sealed

    async def _report_broken(self, reason: str) -> None:
        if reason == self._broken:
            return
        _log.error("audit trail broken", reason=reason)
        await self._open(BROKEN, f"The audit trail is broken and not sealed: {with_guide(reason)}")
        self._broken = reason

    async def _report_intact(self) -> None:
        if self._broken is None and not self._first:
            return
        async with self._rt.store.write() as session:
            comment = "the trail continues what was sealed"
            await tasks.close_tasks(
                session, TaskKind.AUDIT_TRAIL, BROKEN, "system", comment, self._now()
            )
        self._broken = None

    async def _report_quarantine(self) -> None:
        async with self._rt.store.read() as session:
            found = await new_quarantine(session)
        if found.total > self._quarantine.total:
            _log.error("audit events quarantined", total=found.total, events=found.named)
            await self._open(QUARANTINE, with_guide(str(found)))
        self._quarantine = found

    async def _open(self, subject: str, summary: str) -> None:
        async with self._rt.store.write() as session:
            await tasks.open_task(
                session,
                kind=TaskKind.AUDIT_TRAIL,
                subject=subject,
                summary=summary,
                now=self._now(),
            )

    def _now(self) -> datetime:
        return self._rt.clock()
