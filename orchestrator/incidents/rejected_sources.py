"""Tasks for sources of which much is unreadable: one open task per source."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.tasks import open_task
from orchestrator.runtime import Runtime
from orchestrator.store.queries import tasks
from orchestrator.store.queries.sources import activity
from orchestrator.store.queries.sources.activity import SourceActivity

MIN_DELIVERIES = 20
"""A source that sent fewer deliveries since yesterday opens no task."""
MAX_UNREADABLE_PERCENT = 5
"""More unreadable deliveries than this share open a task."""


async def open_tasks(rt: Runtime) -> int:
    """Open a task for each source of which too much was unreadable since yesterday.

    Return how many were opened. A task that a person closed is opened again only by further
    unreadable deliveries.
    """
    now = rt.clock()
    async with rt.store.read() as session:
        found = await activity.by_source(session, (now - timedelta(days=1)).date())
        due = [
            (source, seen)
            for source, seen in sorted(found.items())
            if is_often_unreadable(seen) and not await _is_noted(session, source, seen)
        ]
    for source, seen in due:
        async with rt.store.write() as session:
            await open_task(
                session,
                kind=TaskKind.REJECTED_DELIVERIES,
                subject=source,
                summary=_summary(source, seen),
                now=now,
            )
    return len(due)


def is_often_unreadable(seen: SourceActivity) -> bool:
    """Return whether a source sends enough, and too much of it cannot be read."""
    return (
        seen.deliveries >= MIN_DELIVERIES
        and seen.unreadable * 100 > seen.deliveries * MAX_UNREADABLE_PERCENT
    )


async def _is_noted(session: AsyncSession, source: str, seen: SourceActivity) -> bool:
    """Return whether a task is open, or was closed after the last unreadable delivery."""
    newest = await tasks.newest(session, TaskKind.REJECTED_DELIVERIES, source)
    if newest is None:
        return False
    return newest.closed_at is None or (
        seen.unreadable_at is None or newest.closed_at >= seen.unreadable_at
    )


def _summary(source: str, seen: SourceActivity) -> str:
    return (
        f"{seen.unreadable} of {seen.deliveries} deliveries of source {source} since yesterday "
        f"could not be read; `tocsin source rejected list {source}` says why, and after a fix "
        f"`tocsin source rejected replay {source} --all` reads them again"
    )
