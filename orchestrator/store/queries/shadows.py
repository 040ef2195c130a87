"""Queries over the runs of a shadow and of the live version next to it; read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import SHADOW, Mode
from orchestrator.store.audit_events import select_events
from orchestrator.store.tables import AlertRow, AuditEventRow, RunRow, StepRow

_PARAMETERS = 500


class ShadowPeriod(NamedTuple):
    """When a version last was a shadow."""

    since: datetime
    until: datetime | None  # None while it is one


async def last_shadow_period(
    session: AsyncSession, playbook: str, version: int
) -> ShadowPeriod | None:
    """Return from the audit trail when a version last was a shadow; None when it never was."""
    kinds = [
        kind.value
        for kind in (
            EventKind.PLAYBOOK_PUBLISHED,
            EventKind.PLAYBOOK_STAGED,
            EventKind.PLAYBOOK_RETIRED,
        )
    ]
    events = await select_events(
        session, col(AuditEventRow.subject) == playbook, col(AuditEventRow.kind).in_(kinds)
    )
    period: ShadowPeriod | None = None
    for event in events:
        data = event.record["data"]
        if data.get("version") != version:
            continue
        at = datetime.fromisoformat(event.record["time"])
        is_shadow = data.get("stage") == SHADOW and not data.get("retired")
        if is_shadow and (period is None or period.until is not None):
            period = ShadowPeriod(at, None)
        elif not is_shadow and period is not None and period.until is None:
            period = ShadowPeriod(period.since, at)
    return period


async def shadow_runs(
    session: AsyncSession, playbook: str, version: int, period: ShadowPeriod, limit: int
) -> list[RunRow]:
    """Return the dry runs of a shadow version, newest first."""
    own = (
        col(RunRow.version) == version,
        col(RunRow.started_by) == SHADOW,
        col(RunRow.mode) == Mode.DRY_RUN.value,
    )
    wanted = select(RunRow).where(col(RunRow.playbook) == playbook, *own, *_within(period))
    return list(await session.scalars(wanted.order_by(col(RunRow.created_at).desc()).limit(limit)))


async def live_runs(
    session: AsyncSession, playbook: str, period: ShadowPeriod, limit: int
) -> list[RunRow]:
    """Return the runs that alerts started meanwhile, newest first; dry where the source is."""
    wanted = select(RunRow).where(
        col(RunRow.playbook) == playbook,
        col(RunRow.started_by).startswith("source:"),
        *_within(period),
    )
    return list(
        await session.scalars(
            wanted.where(col(RunRow.alert_id).is_not(None))
            .order_by(col(RunRow.created_at).desc())
            .limit(limit)
        )
    )


async def steps_of(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, list[StepRow]]:
    """Return the steps by run, in the order in which they began."""
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
    """Return title and time of reception, by alert."""
    found: dict[str, tuple[str, datetime]] = {}
    for part in _parts(alert_ids):
        columns = (col(AlertRow.id), col(AlertRow.title), col(AlertRow.received_at))
        rows = await session.execute(select(*columns).where(col(AlertRow.id).in_(part)))
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


def _within(period: ShadowPeriod) -> Iterator[ColumnElement[bool]]:
    yield col(RunRow.created_at) >= period.since
    if period.until is not None:
        yield col(RunRow.created_at) < period.until


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
