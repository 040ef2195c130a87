"""What may be archived: incidents that are over with all that belongs to them, and other records.

An incident goes as a whole or stays as a whole. Nothing here changes anything; what is deleted is
checked again in the transaction that deletes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.retention.records import Group, RecordKind, row_counts
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention import blockers, candidates
from orchestrator.store.queries.retention.blockers import KeptFor
from orchestrator.store.queries.retention.candidates import Member, Place

RECORDS_AT_ONCE = 100
ROWS_AT_ONCE = 2_000
"""The most rows of a group, unless a single record has more: other writers wait for a group."""

Kept = Counter[KeptFor]
"""How many incidents, runs without one, notifications and deliveries stay, by reason."""

Pages = Callable[[AsyncSession, datetime, Place | None, int], Awaitable[list[Place]]]
Members = Callable[[AsyncSession, Sequence[str], Member | None, int], Awaitable[list[Member]]]


async def select_records(rt: Runtime, before: datetime, kept: Kept) -> AsyncGenerator[Group, None]:
    """Yield what may go, in an order in which it can be deleted. Count what stays in `kept`."""
    for kind in (_incidents, _runs, _notifications, _deliveries):
        async for group in kind(rt, before, kept):
            yield group


async def _incidents(rt: Runtime, before: datetime, kept: Kept) -> AsyncIterator[Group]:
    async for incident_ids in _pages(rt, candidates.incidents_before, before):
        closed = await _closed(rt, incident_ids, before, kept)
        for kind, members in (
            (RecordKind.RUN, candidates.runs_of_incidents),
            (RecordKind.ALERT, candidates.alerts_of_incidents),
        ):
            async for page in _members(rt, members, closed):
                async for group in _split(rt, kind, [id_ for _, id_ in page]):
                    yield group
        if closed:
            yield Group(RecordKind.INCIDENT, closed)


async def _runs(rt: Runtime, before: datetime, kept: Kept) -> AsyncIterator[Group]:
    """Yield runs that are of no incident."""
    async for ids in _pages(rt, candidates.runs_before, before):
        async with rt.store.read() as session:
            incidents = await blockers.incidents_of_runs(session, ids)
            alone = [run for run in ids if run in incidents and incidents[run] is None]
            blocked = await blockers.blocked_runs(session, alone, before, rt.clock())
        kept.update(blocked.values())
        async for group in _split(rt, RecordKind.RUN, _without(alone, blocked)):
            yield group


async def _notifications(rt: Runtime, before: datetime, kept: Kept) -> AsyncIterator[Group]:
    """Yield notifications about a batch, a task or a key; others go with their run."""
    async for ids in _pages(rt, candidates.notifications_before, before):
        async with rt.store.read() as session:
            blocked = await blockers.blocked_notifications(session, ids, rt.clock())
        due = (reason for reason in blocked.values() if reason is not KeptFor.APPROVAL)
        kept.update(due)
        async for group in _split(rt, RecordKind.NOTIFICATION, _without(ids, blocked)):
            yield group


async def _deliveries(rt: Runtime, before: datetime, _: Kept) -> AsyncIterator[Group]:
    async for ids in _pages(rt, candidates.deliveries_before, before):
        async for group in _split(rt, RecordKind.DELIVERY, ids):
            yield group


def _without(ids: Sequence[str], blocked: Mapping[str, KeptFor]) -> list[str]:
    return [id_ for id_ in ids if id_ not in blocked]


async def _closed(
    rt: Runtime, incident_ids: Sequence[str], before: datetime, kept: Kept
) -> list[str]:
    """Return those of the incidents that may go with everything that belongs to them."""
    async with rt.store.read() as session:
        blocked = await blockers.blocked_incidents(session, incident_ids, before)
    left = _without(incident_ids, blocked)
    async for page in _members(rt, candidates.runs_of_incidents, left):
        incident_of = {run: incident for incident, run in page}
        async with rt.store.read() as session:
            runs = await blockers.blocked_runs(session, list(incident_of), before, rt.clock())
        for run, reason in runs.items():
            blocked.setdefault(incident_of[run], reason)
    kept.update(blocked.values())
    return _without(left, blocked)


async def _pages(rt: Runtime, read: Pages, before: datetime) -> AsyncIterator[list[str]]:
    after: Place | None = None
    while True:
        async with rt.store.read() as session:
            found = await read(session, before, after, RECORDS_AT_ONCE)
        if found:
            yield [id_ for _, id_ in found]
        if len(found) < RECORDS_AT_ONCE:
            return
        after = found[-1]


async def _members(
    rt: Runtime, read: Members, incident_ids: Sequence[str]
) -> AsyncIterator[list[Member]]:
    after: Member | None = None
    while incident_ids:
        async with rt.store.read() as session:
            found = await read(session, incident_ids, after, RECORDS_AT_ONCE)
        if found:
            yield found
        if len(found) < RECORDS_AT_ONCE:
            return
        after = found[-1]


async def _split(rt: Runtime, kind: RecordKind, ids: Sequence[str]) -> AsyncIterator[Group]:
    """Yield records in groups of so many rows."""
    if not ids:
        return
    async with rt.store.read() as session:
        counts = await row_counts(session, kind, ids)
    group, rows = Group(kind, []), 0
    for id_ in ids:
        if group.ids and rows + counts.by_record[id_] > ROWS_AT_ONCE:
            yield group
            group, rows = Group(kind, []), 0
        group.ids.append(id_)
        rows += counts.by_record[id_]
    yield group
