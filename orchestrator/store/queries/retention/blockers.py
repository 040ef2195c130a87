"""What keeps a record in the database: each reason is a query over a few ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from orchestrator.domain.approval import ApprovalState, ReviewState
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import (
    MAY_BE_IN_FORCE,
    ContainmentState,
    EffectState,
    LeaseState,
)
from orchestrator.domain.notification import NotificationState
from orchestrator.domain.run import RunStatus
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    ContainmentRow,
    DecisionRow,
    EffectRow,
    IncidentRow,
    LeaseRow,
    NotificationRow,
    RunKeyRow,
    RunRow,
    TaskRow,
)
from orchestrator.store.tables.columns import is_literally

Query = Any


class KeptFor(StrEnum):
    """Why a record stays in the database."""

    OPEN = "a run that is open, or ended too recently"
    LEASE = "a live lease"
    CONTAINMENT = "a containment that is not lifted"
    EFFECT = "an effect that may be in force, or whose outcome is unknown"
    RESTORE = "a restore by a later run, whose undo would need it"
    APPROVAL = "an approval that is pending, or waits for its review"
    NOTIFICATION = "a notification that was not sent, or whose link still works"
    TASK = "an open task"
    ONCE_PER = "a once_per key that still covers alerts"
    REFUSED = "a row that Tocsin did not write; see `tocsin doctor`"
    ALERT = "an alert that came, or came again, too recently"


async def blocked_runs(
    session: AsyncSession, run_ids: Sequence[str], before: datetime, now: datetime
) -> dict[str, KeptFor]:
    """Return those of the runs that stay, and why. `before`: what ended later stays."""
    found: dict[str, KeptFor] = {}
    for reason, query in _of_runs(run_ids, before, now):
        found |= {run: reason for run in await session.scalars(query) if run not in found}
    return dict.fromkeys(await _with_refused_rows(session, run_ids), KeptFor.REFUSED) | found


async def blocked_incidents(
    session: AsyncSession, incident_ids: Sequence[str], before: datetime
) -> dict[str, KeptFor]:
    """Return those of the incidents that stay for another reason than their runs."""
    seen = (col(IncidentRow.id).in_(incident_ids), col(IncidentRow.last_alert_at) >= before)
    again = (col(AlertRow.incident_id).in_(incident_ids), col(AlertRow.last_seen_at) >= before)
    found: dict[str, KeptFor] = {}
    for reason, query in (
        (KeptFor.ALERT, select(col(IncidentRow.id)).where(*seen)),
        (KeptFor.ALERT, select(col(AlertRow.incident_id)).where(*again).distinct()),
        (KeptFor.TASK, _open_tasks(incident_ids)),
    ):
        found |= dict.fromkeys(await session.scalars(query), reason)
    return found


async def with_runs(session: AsyncSession, incident_ids: Sequence[str]) -> set[str]:
    """Return those of the incidents that have runs."""
    wanted = select(col(RunRow.incident_id)).where(col(RunRow.incident_id).in_(incident_ids))
    return {id_ for id_ in await session.scalars(wanted.distinct()) if id_ is not None}


async def with_alerts(session: AsyncSession, incident_ids: Sequence[str]) -> set[str]:
    """Return those of the incidents that have alerts."""
    wanted = select(col(AlertRow.incident_id)).where(col(AlertRow.incident_id).in_(incident_ids))
    return set(await session.scalars(wanted.distinct()))


async def incidents_of_runs(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, str | None]:
    """Return the runs that exist, with the incident of each, where that exists."""
    wanted = (
        select(col(RunRow.id), col(IncidentRow.id))
        .outerjoin(IncidentRow, col(IncidentRow.id) == col(RunRow.incident_id))
        .where(col(RunRow.id).in_(run_ids))
    )
    return {row[0]: row[1] for row in await session.execute(wanted)}


async def incidents_of_alerts(session: AsyncSession, alert_ids: Sequence[str]) -> dict[str, str]:
    """Return the alerts that exist, with the incident of each."""
    wanted = select(col(AlertRow.id), col(AlertRow.incident_id))
    rows = await session.execute(wanted.where(col(AlertRow.id).in_(alert_ids)))
    return {row[0]: row[1] for row in rows}


async def started_runs(session: AsyncSession, alert_ids: Sequence[str]) -> set[str]:
    """Return those of the alerts of which there is a run."""
    wanted = select(col(RunRow.alert_id)).where(col(RunRow.alert_id).in_(alert_ids))
    return {id_ for id_ in await session.scalars(wanted.distinct()) if id_ is not None}


async def blocked_notifications(
    session: AsyncSession, ids: Sequence[str], now: datetime
) -> dict[str, KeptFor]:
    """Return those of the notifications that stay, and why.

    One about an approval goes with its run, and one about a batch after the last approval of it.
    """
    mine, about = col(NotificationRow.id).in_(ids), col(NotificationRow.about)
    wanted = select(col(NotificationRow.id)).where(mine)
    joined = wanted.join(ApprovalRow, col(ApprovalRow.id) == about)
    batched = wanted.join(ApprovalRow, col(ApprovalRow.batch) == about)
    tasked = wanted.join(TaskRow, col(TaskRow.id) == about).where(col(TaskRow.closed_at).is_(None))
    found: dict[str, KeptFor] = {}
    for reason, query in (
        (KeptFor.APPROVAL, joined),
        (KeptFor.APPROVAL, batched),
        (KeptFor.NOTIFICATION, wanted.where(_is_due(now))),
        (KeptFor.TASK, tasked),
    ):
        found |= {id_: reason for id_ in await session.scalars(query) if id_ not in found}
    return found


async def _with_refused_rows(session: AsyncSession, run_ids: Sequence[str]) -> set[str]:
    """Return those of the runs of which another hand wrote an approval or a decision."""
    of_them = col(ApprovalRow.run_id).in_(run_ids)
    stored = await session.execute(
        select(col(ApprovalRow.id), col(ApprovalRow.run_id)).where(of_them)
    )
    runs = {row[0]: row[1] for row in stored}
    read = {row.id for row in await session.scalars(select(ApprovalRow).where(of_them))}
    mine = col(DecisionRow.approval_id).in_(runs)
    keys = select(col(DecisionRow.approval_id), col(DecisionRow.person)).where(mine)
    decided = {(row[0], row[1]) for row in await session.execute(keys)}
    decisions = await session.scalars(select(DecisionRow).where(mine))
    decided -= {(row.approval_id, row.person) for row in decisions}
    return {runs[id_] for id_ in {*(runs.keys() - read), *(approval for approval, _ in decided)}}


def _of_runs(
    ids: Sequence[str], before: datetime, now: datetime
) -> Iterator[tuple[KeptFor, Query]]:
    over = [status for status in RunStatus if status.over]
    run = select(col(RunRow.id)).where(col(RunRow.id).in_(ids))
    ended = col(RunRow.ended_at)
    yield (
        KeptFor.OPEN,
        run.where(or_(ended.is_(None), ended >= before, col(RunRow.status).not_in(over))),
    )
    leases = select(col(LeaseRow.run_id)).where(col(LeaseRow.run_id).in_(ids))
    effects = select(col(EffectRow.run_id)).where(col(EffectRow.run_id).in_(ids))
    yield KeptFor.LEASE, leases.where(col(LeaseRow.state) == LeaseState.LIVE)
    unlifted = col(ContainmentRow.state) != ContainmentState.LIFTED
    for claims, key in ((leases, LeaseRow.containment_key), (effects, EffectRow.containment_key)):
        joined = claims.join(ContainmentRow, col(ContainmentRow.key) == col(key))
        yield KeptFor.CONTAINMENT, joined.where(unlifted)
    yield KeptFor.EFFECT, effects.where(_may_be_in_force())
    restore = aliased(EffectRow)
    later = aliased(RunRow)
    for undone, by in ((effects, EffectRow.undone_by), (leases, LeaseRow.restored_by)):
        restored = undone.join(restore, col(restore.id) == col(by)).join(
            later, col(later.id) == col(restore.run_id)
        )
        recent = or_(col(later.ended_at).is_(None), col(later.ended_at) >= before)
        yield KeptFor.RESTORE, restored.where(recent)
    approvals = select(col(ApprovalRow.run_id)).where(col(ApprovalRow.run_id).in_(ids))
    undecided = or_(
        col(ApprovalRow.state) == ApprovalState.PENDING,
        col(ApprovalRow.review) == ReviewState.PENDING,
    )
    yield KeptFor.APPROVAL, approvals.where(undecided)
    pending = aliased(ApprovalRow)
    batched = approvals.join(pending, col(pending.batch) == col(ApprovalRow.batch))
    yield KeptFor.APPROVAL, batched.where(is_literally(pending.state, ApprovalState.PENDING))
    notified = approvals.join(NotificationRow, col(NotificationRow.about) == col(ApprovalRow.id))
    yield KeptFor.NOTIFICATION, notified.where(_is_due(now))
    yield KeptFor.TASK, _open_tasks(ids)
    attended = leases.join(TaskRow, col(TaskRow.subject) == col(LeaseRow.containment_key))
    yield KeptFor.TASK, attended.where(col(TaskRow.closed_at).is_(None))
    reviewed = approvals.join(TaskRow, col(TaskRow.subject) == col(ApprovalRow.id))
    yield KeptFor.TASK, reviewed.where(col(TaskRow.closed_at).is_(None))
    keys = select(col(RunKeyRow.run_id)).where(col(RunKeyRow.run_id).in_(ids))
    yield KeptFor.ONCE_PER, keys.where(col(RunKeyRow.at) >= before)


def _may_be_in_force() -> Any:
    # A ticket or a message stays in the world, and nothing will be done about it.
    state = col(EffectRow.state)
    return or_(
        state == EffectState.INTENDED,
        state.in_(MAY_BE_IN_FORCE) & (col(EffectRow.effect) != Effect.NOTIFY.value),
    )


def _is_due(now: datetime) -> Any:
    usable = col(NotificationRow.used_at).is_(None) & (col(NotificationRow.expires_at) > now)
    return or_(col(NotificationRow.state) == NotificationState.WAITING, usable)


def _open_tasks(subjects: Sequence[str]) -> Query:
    of_them = select(col(TaskRow.subject)).where(col(TaskRow.subject).in_(subjects))
    return of_them.where(col(TaskRow.closed_at).is_(None))
