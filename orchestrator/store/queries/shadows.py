"""Which runs did a shadow start, and which did the live version beside it? Only ever read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import SHADOW, Mode
from orchestrator.store.tables import AlertRow, AuditEventRow, RunRow, StepRow

_PARAMETERS = 500


class Watch(NamedTuple):
    """When a version ran as a shadow last. `until`: None while it does."""

    since: datetime
    until: datetime | None


async def last_watch(session: AsyncSession, playbook: str, version: int) -> Watch | None:
    """From the trail; None where it never was a shadow."""
    kinds = [
        kind.value
        for kind in (
            EventKind.PLAYBOOK_PUBLISHED,
            EventKind.PLAYBOOK_STAGED,
            EventKind.PLAYBOOK_RETIRED,
        )
    ]
    wanted = select(AuditEventRow).where(
        col(AuditEventRow.subject) == playbook, col(AuditEventRow.kind).in_(kinds)
    )
    watch: Watch | None = None
    for event in await session.scalars(wanted.order_by(col(AuditEventRow.number))):
        if event.data.get("version") != version:
            continue
        at, watches = (
            datetime.fromisoformat(event.time),
            event.data.get("stage") == SHADOW and not event.data.get("retired"),
        )
        if watches and (watch is None or watch.until is not None):
            watch = Watch(at, None)
        elif not watches and watch is not None and watch.until is None:
            watch = Watch(watch.since, at)
    return watch


async def shadow_runs(
    session: AsyncSession, playbook: str, version: int, watch: Watch, limit: int
) -> list[RunRow]:
    """Of that version, the newest first."""
    own = (
        col(RunRow.version) == version,
        col(RunRow.started_by) == SHADOW,
        col(RunRow.mode) == Mode.DRY_RUN.value,
    )
    wanted = select(RunRow).where(col(RunRow.playbook) == playbook, *own, *_within(watch))
    return list(await session.scalars(wanted.order_by(col(RunRow.created_at).desc()).limit(limit)))


async def beside(session: AsyncSession, playbook: str, watch: Watch, limit: int) -> list[RunRow]:
    """What alerts started meanwhile of the version that takes them, the newest first; dry, where the source is."""
    wanted = select(RunRow).where(
        col(RunRow.playbook) == playbook,
        col(RunRow.started_by).startswith("source:"),
        *_within(watch),
    )
    return list(
        await session.scalars(
            wanted.where(col(RunRow.alert_id).is_not(None))
            .order_by(col(RunRow.created_at).desc())
            .limit(limit)
        )
    )


async def steps_of(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, list[StepRow]]:
    """By run, in the order in which they began."""
    found: dict[str, list[StepRow]] = {}
    for part in _parts(run_ids):
        wanted = (
            select(StepRow)
            .where(col(StepRow.run_id).in_(part))
            .order_by(col(StepRow.seq), col(StepRow.path))
        )
        for row in await session.scalars(wanted):
            found.setdefault(row.run_id, []).append(row)
    return found


async def alerts_of(
    session: AsyncSession, alert_ids: Sequence[str]
) -> dict[str, tuple[str, datetime]]:
    """Title and time of reception, by alert."""
    found: dict[str, tuple[str, datetime]] = {}
    for part in _parts(alert_ids):
        columns = (col(AlertRow.id), col(AlertRow.title), col(AlertRow.received_at))
        rows = await session.execute(select(*columns).where(col(AlertRow.id).in_(part)))
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


def _within(watch: Watch) -> Iterator[ColumnElement[bool]]:
    yield col(RunRow.created_at) >= watch.since
    if watch.until is not None:
        yield col(RunRow.created_at) < watch.until


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
