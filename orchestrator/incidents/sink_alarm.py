"""The alarm of audit sinks: a task for each that takes nothing for a while, closed once it does."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.incident import TaskKind
from orchestrator.incidents import tasks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import audit_sinks
from orchestrator.store.queries import tasks as task_rows
from orchestrator.store.tables import AuditSinkRow


async def report_sinks(rt: Runtime) -> None:
    """Open a task for each sink that fails for longer than `audit_sinks_patience`; close others."""
    async with rt.store.read() as session:
        rows = await audit_sinks.list_sinks(session)
        is_open = {
            row.name: bool(await task_rows.list_open(session, TaskKind.AUDIT_TRAIL, row.name))
            for row in rows
        }
    for row in rows:
        if _has_failed(rt, row) != is_open[row.name] and (is_open[row.name] or row.error):
            await _report(rt, row, is_open=is_open[row.name])


async def _report(rt: Runtime, row: AuditSinkRow, *, is_open: bool) -> None:
    now = rt.clock()
    async with rt.store.write() as session:
        if not is_open:
            stops = "; no change is made meanwhile" if rt.settings.audit_sinks_required else ""
            summary = (
                f"The audit sink {row.name} takes nothing since {row.failing_since:%Y-%m-%d %H:%M} "
                f"UTC and has batch {row.batch} of the audit trail{stops}: {row.error}. "
                "See docs/operating.md#audit-sinks."
            )
            await tasks.open_task(
                session, kind=TaskKind.AUDIT_TRAIL, subject=row.name, summary=summary, now=now
            )
        elif row.failing_since is None:
            comment = "the sink takes the audit trail again"
            await tasks.close_tasks(session, TaskKind.AUDIT_TRAIL, row.name, "system", comment, now)


def _has_failed(rt: Runtime, row: AuditSinkRow) -> bool:
    patience = timedelta(seconds=rt.settings.audit_sinks_patience)
    return row.failing_since is not None and rt.clock() - row.failing_since >= patience
