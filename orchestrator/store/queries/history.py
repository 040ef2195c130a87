"""Queries over past alerts and what their runs recorded, for backtests; read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.run import Mode
from orchestrator.store.tables import AlertRow, ApprovalRow, AssetRow, EffectRow, RunRow, StepRow

_PARAMETERS = 500
_NEAREST = 100


class StoredAlert(NamedTuple):
    """An alert as playbooks see it."""

    id: str
    incident_id: str
    source: str
    severity: int
    title: str
    view: dict[str, Any]
    received_at: datetime


class RecordedStep(NamedTuple):
    """What a step of a run read, or planned to change."""

    digest: str | None  # of connection, action and input
    alert_id: str | None
    incident_id: str | None
    at: datetime
    kind: str
    path: str
    result: Any  # with secrets masked
    planned_change: dict[str, Any] | None
    playbook: str


_ALERT: tuple[Any, ...] = (
    AlertRow.id,
    AlertRow.incident_id,
    AlertRow.source,
    AlertRow.severity,
    AlertRow.title,
    AlertRow.view,
    AlertRow.received_at,
)
_STEP: tuple[Any, ...] = (
    StepRow.inputs_digest,
    RunRow.alert_id,
    RunRow.incident_id,
    StepRow.started_at,
    StepRow.kind,
    StepRow.path,
    StepRow.result,
    StepRow.planned_change,
    RunRow.playbook,
)


async def alerts_between(
    session: AsyncSession, since: datetime, until: datetime, source: str | None, limit: int
) -> tuple[list[StoredAlert], bool]:
    """Return the newest alerts received then, oldest first, and whether there are more."""
    wanted = select(*_ALERT).where(
        col(AlertRow.received_at) >= since, col(AlertRow.received_at) < until
    )
    if source is not None:
        wanted = wanted.where(col(AlertRow.source) == source)
    rows = (
        await session.execute(
            wanted.order_by(col(AlertRow.received_at).desc(), col(AlertRow.id).desc()).limit(
                limit + 1
            )
        )
    ).all()
    return [StoredAlert(*row) for row in rows[:limit]][::-1], len(rows) > limit


async def alerts_of_incident(
    session: AsyncSession, incident_id: str, limit: int = 1000
) -> list[StoredAlert]:
    """Return an incident's alerts, oldest first."""
    wanted = select(*_ALERT).where(col(AlertRow.incident_id) == incident_id)
    rows = await session.execute(
        wanted.order_by(col(AlertRow.received_at), col(AlertRow.id)).limit(limit)
    )
    return [StoredAlert(*row) for row in rows]


async def steps_of_incidents(
    session: AsyncSession, incident_ids: Sequence[str]
) -> list[RecordedStep]:
    """Return the reads, plans and forms that runs about these incidents recorded."""
    found: list[RecordedStep] = []
    for part in _parts(incident_ids):
        wanted = (
            select(*_STEP)
            .join(RunRow, col(RunRow.id) == col(StepRow.run_id))
            .where(col(RunRow.incident_id).in_(part))
        )
        wanted = wanted.where(
            col(StepRow.inputs_digest).is_not(None) | (col(StepRow.kind) == "ask")
        )
        found += [RecordedStep(*row) for row in await session.execute(wanted)]
    return found


async def steps_by_digest(session: AsyncSession, digest: str, at: datetime) -> list[RecordedStep]:
    """Return records of the same action and input, the nearest before and after a moment."""
    joined = (
        select(*_STEP)
        .join(RunRow, col(RunRow.id) == col(StepRow.run_id))
        .where(col(StepRow.inputs_digest) == digest)
    )
    started = col(StepRow.started_at)
    before = joined.where(started <= at).order_by(started.desc()).limit(_NEAREST)
    after = joined.where(started > at).order_by(started).limit(_NEAREST)
    return [
        RecordedStep(*row) for wanted in (before, after) for row in await session.execute(wanted)
    ]


async def recorded_digests(session: AsyncSession, most: int) -> frozenset[str] | None:
    """Return all digests with a record, or None when there are more than `most`."""
    wanted = (
        select(col(StepRow.inputs_digest))
        .where(col(StepRow.inputs_digest).is_not(None))
        .distinct()
        .limit(most + 1)
    )
    found = frozenset(digest for digest in await session.scalars(wanted) if digest is not None)
    return found if len(found) <= most else None


class AlertRuns(NamedTuple):
    """What the live runs of one playbook about one alert did."""

    runs: list[RunRow]  # oldest first
    effects: list[EffectRow]
    approvals: list[ApprovalRow]
    failed_steps: list[StepRow]  # those that the policy refused included


async def runs_by_alert(
    session: AsyncSession, playbook: str, alert_ids: Sequence[str]
) -> dict[str, AlertRuns]:
    """Return what a playbook's live runs did, by alert."""
    found: dict[str, AlertRuns] = {}
    for part in _parts(alert_ids):
        live = (
            col(RunRow.playbook) == playbook,
            col(RunRow.mode) == Mode.LIVE.value,
            col(RunRow.alert_id).in_(part),
        )
        wanted_runs = select(RunRow).where(*live).order_by(col(RunRow.created_at), col(RunRow.id))
        runs = {row.id: row for row in await session.scalars(wanted_runs)}
        for run in runs.values():
            found.setdefault(str(run.alert_id), AlertRuns([], [], [], [])).runs.append(run)
        for ids in _parts(list(runs)):
            for effect in await session.scalars(
                select(EffectRow).where(col(EffectRow.run_id).in_(ids)).order_by(col(EffectRow.seq))
            ):
                found[str(runs[effect.run_id].alert_id)].effects.append(effect)
            wanted = (
                select(ApprovalRow)
                .where(col(ApprovalRow.run_id).in_(ids))
                .order_by(col(ApprovalRow.asked_at))
            )
            for approval in await session.scalars(wanted):
                found[str(runs[approval.run_id].alert_id)].approvals.append(approval)
            bad = select(StepRow).where(
                col(StepRow.run_id).in_(ids), col(StepRow.state).in_(["failed", "refused"])
            )
            for step in await session.scalars(bad.order_by(col(StepRow.seq))):
                found[str(runs[step.run_id].alert_id)].failed_steps.append(step)
    return found


async def all_assets(session: AsyncSession) -> list[AssetRow]:
    """Return the whole inventory."""
    return list(await session.scalars(select(AssetRow)))


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split values so that each part fits the parameters of one statement."""
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
