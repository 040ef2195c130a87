"""Tasks for sources of which runs are deferred, as too many of them are open: one per source."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import close_tasks, open_task
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs, tasks


async def open_tasks(rt: Runtime) -> int:
    """Open a task for each source with deferred runs, and close those of sources without.

    Return how many were opened. A task that a person closed is opened again only by runs that are
    deferred later.
    """
    async with rt.store.read() as session:
        deferred = await runs.deferred_by_source(session)
        due = [
            (source, count)
            for source, (count, last) in sorted(deferred.items())
            if not await _is_noted(session, source, last)
        ]
        listed = await tasks.list_open(session, TaskKind.DEFERRED_RUNS)
        over = [task.subject for task in listed if task.subject not in deferred]
    for source, count in due:
        async with rt.store.write() as session:
            await open_task(
                session,
                kind=TaskKind.DEFERRED_RUNS,
                subject=source,
                summary=_summary(source, count),
                now=rt.clock(),
            )
    for source in over:
        async with rt.store.write() as session:
            comment = "no run of the source is deferred any more"
            kind, now = TaskKind.DEFERRED_RUNS, rt.clock()
            await close_tasks(session, kind, source, "system", comment, now)
    return len(due)


async def _is_noted(session: AsyncSession, source: str, last: datetime) -> bool:
    """Return whether a task is open, or was closed after the last run was deferred."""
    newest = await tasks.newest(session, TaskKind.DEFERRED_RUNS, source)
    return newest is not None and (newest.closed_at is None or newest.closed_at >= last)


def _summary(source: str, count: int) -> str:
    return (
        f"{count} or more runs for alerts of source {source} have not begun, because too many of "
        f"its runs are open. Each begins once another has ended: answer what waits. `tocsin run "
        f"list --status deferred --source {source}` lists them, and `tocsin run retry --status "
        f"deferred --source {source}` begins them at once"
    )
