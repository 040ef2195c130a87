"""Deletion of what an archive holds: only what is in the file as it is stored, and may still go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.audit.trail import record
from orchestrator.domain.audit_event import EventKind
from orchestrator.retention.archive_file import read_groups
from orchestrator.retention.manifest import ArchiveManifest
from orchestrator.retention.records import Fingerprints, Group, RecordKind, stored_rows
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention import blockers, rows

Progress = Callable[[int], None]
"""Takes how many rows are deleted by now, after each transaction."""


class Removed(NamedTuple):
    """What was deleted."""

    rows: dict[str, int]
    """By table."""
    left: int
    """Records that changed since they were archived, or that something needs by now."""


async def remove_archived(
    rt: Runtime, path: Path, manifest: ArchiveManifest, *, actor: str, progress: Progress
) -> Removed:
    """Delete the records of an archive, a group in each transaction; the first one has the event.

    Raise Unavailable where a sink is required and none has acknowledged.
    """
    total: Counter[str] = Counter()
    left, is_first = 0, True
    for group, archived in read_groups(path):
        async with rt.store.write() as session:
            refused = await missing_sink(rt, session)
            if refused is not None:
                raise refused
            if is_first:
                await _record(rt, session, manifest, actor)
            gone = await _removable(session, group, archived, manifest.before, rt.clock())
            total.update(await _remove(session, group.kind, gone))
        is_first = False
        left += len(group.ids) - len(gone)
        progress(sum(total.values()))
    return Removed(dict(total), left)


async def _record(
    rt: Runtime, session: AsyncSession, manifest: ArchiveManifest, actor: str
) -> None:
    content = manifest.content
    await record(
        session,
        EventKind.RETENTION_ARCHIVED,
        actor=actor,
        subject=content.file,
        data={
            "file": content.file,
            "sha256": content.sha256,
            "rows": content.rows,
            "before": manifest.before,
            "first": content.first,
            "last": content.last,
        },
        now=rt.clock(),
    )


async def _removable(
    session: AsyncSession,
    group: Group,
    archived: Mapping[str, bytes],
    before: datetime,
    now: datetime,
) -> list[str]:
    """Return the records that are stored as they were archived, and that nothing needs.

    They are locked first, so that neither changes until the transaction ends.
    """
    prints = Fingerprints()
    async for row in stored_rows(session, group, lock=True):
        prints.add(row)
    stored = prints.by_record()
    same = [id_ for id_ in group.ids if id_ in stored and stored[id_] == archived.get(id_)]
    kept = await _kept(session, group.kind, same, before, now)
    return [id_ for id_ in same if id_ not in kept]


async def _kept(
    session: AsyncSession, kind: RecordKind, ids: Sequence[str], before: datetime, now: datetime
) -> Collection[str]:
    match kind:
        case RecordKind.RUN:
            runs = await blockers.incidents_of_runs(session, ids)
            incidents = await _lock_incidents(session, runs.values())
            open_ = await blockers.blocked_incidents(session, incidents, before)
            blocked = await blockers.blocked_runs(session, ids, before, now)
            return {*blocked, *(run for run, incident in runs.items() if incident in open_)}
        case RecordKind.ALERT:
            alerts = await blockers.incidents_of_alerts(session, ids)
            incidents = await _lock_incidents(session, alerts.values())
            needed = {
                *await blockers.blocked_incidents(session, incidents, before),
                *await blockers.with_runs(session, incidents),
            }
            started = await blockers.started_runs(session, ids)
            return {*started, *(each for each, incident in alerts.items() if incident in needed)}
        case RecordKind.INCIDENT:
            return {
                *await blockers.blocked_incidents(session, ids, before),
                *await blockers.with_runs(session, ids),
                *await blockers.with_alerts(session, ids),
            }
        case RecordKind.NOTIFICATION:
            return await blockers.blocked_notifications(session, ids, now)
        case RecordKind.DELIVERY:
            return ()


async def _lock_incidents(session: AsyncSession, ids: Collection[str | None]) -> list[str]:
    """Lock incidents, so that no alert joins one meanwhile. Return their ids."""
    wanted = sorted({id_ for id_ in ids if id_ is not None})
    await rows.page(session, rows.INCIDENT[0], wanted, None, lock=True)
    return wanted


async def _remove(session: AsyncSession, kind: RecordKind, ids: Sequence[str]) -> dict[str, int]:
    """Delete the rows of records, and return their numbers by table."""
    gone: Counter[str] = Counter()
    if not ids:
        return gone
    approvals = await rows.approvals_of(session, ids) if kind is RecordKind.RUN else {}
    if kind is RecordKind.ALERT:
        await rows.hand_bodies_on(session, ids)
    for part in reversed(kind.parts):
        parents = list(approvals) if part.of_approvals else ids
        if parents:
            gone[part.name] += await rows.remove(session, part, parents)
    return gone
