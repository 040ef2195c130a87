"""Failed releases: retried without limit, escalated to people, and closed when one succeeds."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.change import UndoRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState, LeaseState
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents import tasks
from orchestrator.policy.load_inputs import load_policy
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""The pause after the first, second, ... refusal; the last one repeats."""
SLOW_AFTER = timedelta(minutes=30)
SLOW_ATTEMPTS = 10
"""After so long, or so many attempts of one release, a task tells people that it fails."""


async def record_unavailable(
    session: AsyncSession, request: UndoRequest, key: str, error: str, now: datetime
) -> None:
    """Let others try again at once, and notify people of a system that is away for long."""
    containment = await containments.lock(session, key)
    if containment is None:
        return
    containment.lifting_until = None
    containment.tries += 1
    lease = await containments.last_ended_lease(session, key)
    if _is_slow(containment, lease, now):
        containment.error = error
        await escalate(session, request, containment, error, now)


async def abandon_release(session: AsyncSession, key: str, now: datetime) -> None:
    """Let another worker repeat a release at once, as this one is being stopped."""
    containment = await containments.lock(session, key)
    if containment is not None and containment.state is ContainmentState.LIFTING:
        containment.lifting_until = None
        containment.retry_at = now


def _is_slow(containment: ContainmentRow, lease: LeaseRow | None, now: datetime) -> bool:
    """Whether its release is tried for so long that people should know. `lease`: its last one."""
    info = activity.info()
    waited = max(
        info.current_attempt_scheduled_time - info.scheduled_time,
        now - lease.ended_at if lease and lease.ended_at else timedelta(),
    )
    return max(info.attempt, containment.tries) >= SLOW_ATTEMPTS or waited >= SLOW_AFTER


async def schedule_retry(
    session: AsyncSession,
    request: UndoRequest,
    containment: ContainmentRow,
    error: str,
    now: datetime,
) -> None:
    """Record that the system refused a release, set the next attempt, and escalate if due."""
    containment.mark_stuck(error)
    await containments.note_release(session, containment.connection)
    containment.retry_at = now + PAUSES[min(containment.failures, len(PAUSES)) - 1]
    policy = (await load_policy(session)).policy.releases
    if containment.failures >= policy.escalate_after:
        await escalate(session, request, containment, error, now)


async def escalate(
    session: AsyncSession,
    request: UndoRequest,
    containment: ContainmentRow,
    error: str,
    now: datetime,
) -> None:
    """Open a task; open it again where it was closed although the release still fails."""
    group = (await load_policy(session)).policy.releases.to
    what = f"{containment.action} of {containment.target} on {containment.connection}"
    task = await tasks.open_task(
        session,
        kind=TaskKind.STUCK_RELEASE,
        subject=containment.key,
        summary=f"{what} cannot be undone: {error}. It is tried again; fix the connection, or undo "
        "it by hand and resolve the containment",
        now=now,
        to_group=group,
    )
    if containment.escalated_at is not None:
        return
    containment.escalated_at = now
    data = {
        "path": request.path,
        "containment": containment.key,
        "task": task,
        "error": error,
        "failures": containment.failures,
        "to": group,
    }
    id_ = trail.event_id(
        request.run_id, request.path, EventKind.UNDO_ESCALATED, containment.key, now
    )
    await trail.record(
        session,
        EventKind.UNDO_ESCALATED,
        actor="system",
        subject=request.run_id,
        data=data,
        now=now,
        event_id=id_,
    )


async def mark_released(
    session: AsyncSession, containment: ContainmentRow, by: str, comment: str, now: datetime
) -> None:
    """Record that a containment is lifted, and close its tasks."""
    containment.mark_lifted(now)
    await containments.note_release(session, containment.connection)
    for kind in (TaskKind.STUCK_RELEASE, TaskKind.DRIFT):
        await tasks.close_tasks(session, kind, containment.key, by, comment, now)


async def record_failed_release(
    session: AsyncSession, request: UndoRequest, effect: EffectRow, now: datetime
) -> ContainmentRow | None:
    """Make a containment of a change without a lease whose undo failed, so that it is retried.

    Return None where others hold the target now: their release undoes this change too.
    """
    row = {
        "key": effect.containment_key,
        "connection": effect.connection,
        "action": effect.action,
        "target_type": effect.target_type,
        "target_value": effect.target_value,
        "extent_first": effect.extent_first,
        "extent_last": effect.extent_last,
        "was_in_force": False,
        "state": ContainmentState.LIFTED,
        "ours": False,
        "since": effect.intended_at,
    }
    containment = await containments.lock_or_create(session, row)
    if containment.state != ContainmentState.LIFTED:
        return None
    containment.hold()
    containment.take_ownership(effect.id, effect.intended_at)
    lease = {
        "containment_key": containment.key,
        "run_id": request.run_id,
        "path": request.path,
        "state": LeaseState.LIVE,
        "created_at": effect.intended_at,
    }
    id_ = containments.lease_id(request.run_id, request.path)
    await containments.register_lease(session, {"id": id_, **lease})
    await containments.end_lease(session, id_, request.cause, request.actor, now)
    return containment
