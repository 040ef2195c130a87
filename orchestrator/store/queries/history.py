"""What came, what was answered and what was done about it? Stored alerts, and what runs left of them; only ever read."""

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


class Recorded(NamedTuple):
    """What a step of a run was answered, or found that it would change. `digest`: of connection, action and input; `result` is masked."""

    digest: str | None
    alert_id: str | None
    incident_id: str | None
    at: datetime
    kind: str
    path: str
    result: Any
    planned_change: dict[str, Any] | None
    playbook: str


_ALERT = (
    AlertRow.id,
    AlertRow.incident_id,
    AlertRow.source,
    AlertRow.severity,
    AlertRow.title,
    AlertRow.view,
    AlertRow.received_at,
)
_STEP = (
    StepRow.inputs_digest, RunRow.alert_id, RunRow.incident_id, StepRow.started_at, StepRow.kind, StepRow.path, StepRow.result,
    StepRow.planned_change, RunRow.playbook,
)  # fmt: skip


async def alerts_between(
    session: AsyncSession, since: datetime, until: datetime, source: str | None, limit: int
) -> tuple[list[StoredAlert], bool]:
    """The newest alerts that were received then, oldest first; and whether there are more than `limit`."""
    wanted = select(*_ALERT).where(
        col(AlertRow.received_at) >= since, col(AlertRow.received_at) < until
    )  # type: ignore[call-overload]
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


async def of_incident(
    session: AsyncSession, incident_id: str, limit: int = 1000
) -> list[StoredAlert]:
    """An incident's alerts, oldest first."""
    wanted = select(*_ALERT).where(col(AlertRow.incident_id) == incident_id)  # type: ignore[call-overload]
    rows = await session.execute(
        wanted.order_by(col(AlertRow.received_at), col(AlertRow.id)).limit(limit)
    )
    return [StoredAlert(*row) for row in rows]


async def recorded_in(session: AsyncSession, incident_ids: Sequence[str]) -> list[Recorded]:
    """What all runs about these incidents recorded of reads, plans and forms."""
    found: list[Recorded] = []
    for part in _parts(incident_ids):
        wanted = (
            select(*_STEP)
            .join(RunRow, col(RunRow.id) == col(StepRow.run_id))
            .where(col(RunRow.incident_id).in_(part))
        )  # type: ignore[call-overload]
        wanted = wanted.where(
            col(StepRow.inputs_digest).is_not(None) | (col(StepRow.kind) == "ask")
        )
        found += [Recorded(*row) for row in await session.execute(wanted)]
    return found


async def recorded_of(session: AsyncSession, digest: str, at: datetime) -> list[Recorded]:
    """What any run recorded of the same action and input: the nearest ones before that moment and after it."""
    joined = (
        select(*_STEP)
        .join(RunRow, col(RunRow.id) == col(StepRow.run_id))
        .where(col(StepRow.inputs_digest) == digest)
    )  # type: ignore[call-overload]
    started = col(StepRow.started_at)
    before = joined.where(started <= at).order_by(started.desc()).limit(_NEAREST)
    after = joined.where(started > at).order_by(started).limit(_NEAREST)
    return [Recorded(*row) for wanted in (before, after) for row in await session.execute(wanted)]


async def recorded_digests(session: AsyncSession, most: int) -> frozenset[str] | None:
    """All digests that anything was recorded of, so that nobody looks for others; None where there are more than `most`."""
    wanted = (
        select(col(StepRow.inputs_digest))
        .where(col(StepRow.inputs_digest).is_not(None))
        .distinct()
        .limit(most + 1)
    )
    found = frozenset(digest for digest in await session.scalars(wanted) if digest is not None)
    return found if len(found) <= most else None


class Done(NamedTuple):
    """What the runs of one playbook about one alert did."""

    runs: list[RunRow]
    effects: list[EffectRow]
    approvals: list[ApprovalRow]
    troubles: list[StepRow]


async def done_about(
    session: AsyncSession, playbook: str, alert_ids: Sequence[str]
) -> dict[str, Done]:
    """By alert, what this playbook's live runs did. `troubles`: steps that failed or were refused."""
    done: dict[str, Done] = {}
    for part in _parts(alert_ids):
        live = (
            col(RunRow.playbook) == playbook,
            col(RunRow.mode) == Mode.LIVE.value,
            col(RunRow.alert_id).in_(part),
        )
        runs = {row.id: row for row in await session.scalars(select(RunRow).where(*live))}
        for run in runs.values():
            done.setdefault(str(run.alert_id), Done([], [], [], [])).runs.append(run)
        for ids in _parts(list(runs)):
            for effect in await session.scalars(
                select(EffectRow).where(col(EffectRow.run_id).in_(ids)).order_by(col(EffectRow.seq))
            ):
                done[str(runs[effect.run_id].alert_id)].effects.append(effect)
            wanted = (
                select(ApprovalRow)
                .where(col(ApprovalRow.run_id).in_(ids))
                .order_by(col(ApprovalRow.asked_at))
            )
            for approval in await session.scalars(wanted):
                done[str(runs[approval.run_id].alert_id)].approvals.append(approval)
            bad = select(StepRow).where(
                col(StepRow.run_id).in_(ids), col(StepRow.state).in_(["failed", "refused"])
            )
            for step in await session.scalars(bad.order_by(col(StepRow.seq))):
                done[str(runs[step.run_id].alert_id)].troubles.append(step)
    return done


async def all_assets(session: AsyncSession) -> list[AssetRow]:
    """The whole inventory."""
    return list(await session.scalars(select(AssetRow)))


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few enough for one statement's parameters."""
    for start in range(0, len(values), _PARAMETERS):
        yield values[start : start + _PARAMETERS]
