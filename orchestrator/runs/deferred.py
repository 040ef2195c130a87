"""Deferred runs: they begin by themselves, the most severe first, once their source has a place."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.run import RunStatus
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, runs


async def begin_deferred(rt: Runtime, limit: int) -> int:
    """Begin deferred runs of sources with fewer open runs than `source_open_runs`.

    `limit`: of one source. Return how many begin.
    """
    now = rt.clock()
    async with rt.store.read() as session:
        sources = await runs.deferred_by_source(session)
        due = [
            id_
            for source in sorted(sources)
            for id_ in await _due(session, source, rt.settings.source_open_runs, limit, now)
        ]
    if due:
        async with rt.store.write() as session:
            for id_ in due:
                run = await runs.get(session, id_, lock=True)
                if run is not None and run.status is RunStatus.DEFERRED:  # no person was quicker
                    run.begin_deferred(now)
    return len(due)


async def _due(
    session: AsyncSession, source: str, most_open: int, limit: int, now: datetime
) -> list[str]:
    """Return the runs that have a place. Less severe ones that are open take none from them."""
    due: list[str] = []
    open_: dict[int, int] = {}
    for run in await runs.list_deferred(session, source, limit):
        if run.severity not in open_:
            open_[run.severity] = await alerts.open_runs_of(session, source, run.severity, now)
        if most_open and open_[run.severity] + len(due) >= most_open:
            break
        due.append(run.id)
    return due
