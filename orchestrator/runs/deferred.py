"""Deferred runs: they begin by themselves, the most severe first, once their source has a place."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.runs.lifecycle import reopen_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, runs

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


async def begin_deferred(rt: Runtime, limit: int) -> int:
    """Begin deferred runs of sources with fewer open runs than `source_open_runs`.

    `limit`: of one source. Return how many begin.
    """
    async with rt.store.read() as session:
        sources = await runs.deferred_by_source(session)
        due = [
            id_
            for source in sorted(sources)
            for id_ in await _due(session, source, rt.settings.source_open_runs, limit)
        ]
    for id_ in due:
        with suppress(NotFound, Conflict):  # a person was quicker
            async with rt.store.write() as session:
                await reopen_run(session, id_, "system", rt.clock())
    return len(due)


async def _due(session: AsyncSession, source: str, most_open: int, limit: int) -> list[str]:
    """Return the runs that have a place. Less severe ones that are open take none from them."""
    due: list[str] = []
    open_: dict[int, int] = {}
    for run in await runs.list_deferred(session, source, limit):
        if run.severity not in open_:
            open_[run.severity] = await alerts.open_runs_of(session, source, run.severity, _EVER)
        if most_open and open_[run.severity] + len(due) >= most_open:
            break
        due.append(run.id)
    return due
