"""The archive: written, signed and read back before anything is deleted.

A crash at any moment loses nothing: until the file is complete nothing is deleted, and then only
what is in it. What a crash left is archived again, into another file, by the next run.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from orchestrator.audit.keys.load import load_keys
from orchestrator.audit.sealer import seal_pending
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.crypto.signing import SigningKey
from orchestrator.domain.errors import Conflict, Invalid
from orchestrator.incidents.trail_health import trail_health, with_guide
from orchestrator.installation.identity import load_identity
from orchestrator.retention.archive_file import ArchiveWriter
from orchestrator.retention.manifest import (
    ArchiveContent,
    ArchiveManifest,
    write_archive_manifest,
)
from orchestrator.retention.records import row_counts, stored_rows
from orchestrator.retention.remove import Progress, Removed, remove_archived
from orchestrator.retention.selection import Kept, select_records
from orchestrator.retention.verify import check_archive
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention.blockers import KeptFor

Report = Callable[[str], None]
_ROWS_BETWEEN = 100_000


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What an archive would hold."""

    before: datetime
    rows: dict[str, int]
    """By table."""
    kept: dict[KeptFor, int]
    """Incidents, runs without one, and notifications that are old enough and stay, by reason."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What was archived and deleted."""

    path: Path
    manifest: ArchiveManifest
    removed: Removed


async def plan_archive(rt: Runtime, before: datetime) -> RetentionPlan:
    """Count what may go, and change nothing. `before`: what was over before this moment."""
    kept, rows = Kept(), Counter[str]()
    async with aclosing(select_records(rt, before, kept)) as groups:
        async for group in groups:
            async with rt.store.read() as session:
                rows.update((await row_counts(session, group.kind, group.ids)).by_table)
    return RetentionPlan(before, dict(sorted(rows.items())), dict(kept))


async def archive(
    rt: Runtime, before: datetime, folder: Path, *, actor: str, report: Report
) -> Archived | None:
    """Archive what was over before a moment into a new file, and delete it. None: nothing was.

    Raise Conflict where the trail is broken or the file is not as it was written, Unavailable where
    no sink has acknowledged and one is required, and Invalid where the file cannot be written.
    """
    await require_trail(rt)
    written = await write_archive(rt, before, folder)
    if written is None:
        return None
    path, manifest = written
    report(f"{path}: written and read back")
    await require_trail(rt)
    removed = await remove_archived(rt, path, manifest, actor=actor, progress=_at_times(report))
    await seal_pending(rt)
    return Archived(path, manifest, removed)


def _at_times(report: Report) -> Progress:
    """Return what reports the progress of a deletion, not after each of thousands of groups."""
    reported = 0

    def progress(rows: int) -> None:
        nonlocal reported
        if rows - reported >= _ROWS_BETWEEN:
            report(f"{rows} rows deleted")
            reported = rows

    return progress


async def require_trail(rt: Runtime) -> None:
    """Raise where the trail is not what was sealed, or a sink is required and none acknowledges."""
    health = await trail_health(rt)
    if not health.is_intact:
        reasons = with_guide("; ".join(health.reasons))
        raise Conflict(f"the audit trail is broken, so that nothing is archived: {reasons}")
    async with rt.store.read() as session:
        refused = await missing_sink(rt, session)
    if refused is not None:
        raise refused


async def write_archive(
    rt: Runtime, before: datetime, folder: Path
) -> tuple[Path, ArchiveManifest] | None:
    """Write an archive with its manifest, and read it back. Nothing is deleted. None: it is empty.

    Raise as `archive`.
    """
    identity = await load_identity(rt.store)
    if identity is None:
        raise Invalid(f"{rt.settings.database_name}: holds no installation yet")
    about = {
        "version": version("tocsin"),
        "created_at": rt.clock().isoformat(),
        "installation": identity.id,
        "environment": rt.settings.environment,
        "before": before.isoformat(),
    }
    name = f"tocsin-archive-{rt.clock():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.jsonl.gz"
    path = folder / name
    content = await _write(rt, before, path, about)
    if content is None:
        return None
    signer = await _signer(rt)
    manifest = write_archive_manifest(path, signer, about, content)
    if findings := check_archive(path, [signer.public]).findings:
        raise Conflict(
            f"{findings[0]}; nothing was deleted: check the disk, and archive into another folder"
        )
    return path, manifest


async def _write(
    rt: Runtime, before: datetime, path: Path, about: dict[str, str]
) -> ArchiveContent | None:
    is_empty = True
    with ArchiveWriter(path, {"tocsin_archive": 1, **about}) as writer:
        async with aclosing(select_records(rt, before, Kept())) as groups:
            async for group in groups:
                is_empty = False
                writer.begin(group)
                async with rt.store.read() as session:
                    async for row in stored_rows(session, group):
                        writer.add(row)
        return None if is_empty else writer.finish()


async def _signer(rt: Runtime) -> SigningKey:
    async with rt.store.read() as session:
        return (await load_keys(rt, session)).signer
