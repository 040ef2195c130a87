"""What happens when a release does not come off? It is tried again, for ever; people are told; it is never forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.messages import UndoRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.incidents import tasks
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, EffectRow

PAUSES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1))
"""Until the next try after the first, second, ... refusal; then the last of them, for ever."""
LONG = timedelta(minutes=30)
MANY = 10
"""After so long, or so many tries in one go, people are told of a system that does not answer; it is asked all the same."""
STUCK_RELEASE = "stuck_release"
"""The kind of the task."""


def taking_long() -> bool:
    """Whether this activity has been trying for so long that people should know."""
    info = activity.info()
    return info.attempt >= MANY or info.current_attempt_scheduled_time - info.scheduled_time >= LONG


async def note_refusal(
    session: AsyncSession, request: UndoRequest, held: ContainmentRow, error: str, now: datetime
) -> None:
    """The system said no: when it is asked again, and (after some times) people are told."""
    held.state, held.error, held.failures = "stuck", error, held.failures + 1
    held.retry_at = now + PAUSES[min(held.failures, len(PAUSES)) - 1]
    policy = (await policy_in_force(session)).policy.releases
    if held.failures >= policy.escalate_after:
        await escalate(session, request, held, error, now)


async def escalate(
    session: AsyncSession, request: UndoRequest, held: ContainmentRow, error: str, now: datetime
) -> None:
    """Opens a task, and opens it again when somebody closed it though the release still does not come off."""
    group = (await policy_in_force(session)).policy.releases.to
    what = f"{held.action} of {held.target_type} {held.target_value} on {held.connection}"
    task = await tasks.open_task(
        session,
        kind=STUCK_RELEASE,
        subject=held.key,
        summary=f"{what} cannot be taken back: {error}. It is tried again; take it off by hand and settle it, or mend the connection",
        now=now,
        to_group=group,
    )
    if held.escalated_at is not None:
        return
    held.escalated_at = now
    told = {
        "path": request.path,
        "containment": held.key,
        "task": task,
        "error": error,
        "failures": held.failures,
        "to": group,
    }
    id_ = trail.event_id(request.run_id, request.path, EventKind.UNDO_ESCALATED, held.key, now)
    await trail.record(
        session,
        EventKind.UNDO_ESCALATED,
        actor="system",
        subject=request.run_id,
        data=told,
        now=now,
        event_id=id_,
    )


async def came_off(
    session: AsyncSession, held: ContainmentRow, by: str, comment: str, now: datetime
) -> None:
    """Lifted: nothing of it is ours, nobody needs to look after it, and what people were told of is settled."""
    held.state, held.lifted_at, held.ours, held.error, held.drift = "lifted", now, False, None, None
    held.failures, held.retry_at, held.escalated_at, held.lifting_until = 0, None, None, None
    for kind in (STUCK_RELEASE, "drift"):
        await tasks.close_tasks(session, kind, held.key, by, comment, now)


async def keep_stuck(
    session: AsyncSession, request: UndoRequest, effect: EffectRow, now: datetime
) -> ContainmentRow | None:
    """A change that no lease held and that cannot be taken back is kept as a containment, so that it is tried again like any other.

    None where the target is held by others just now: what they hold takes this change with it when it is lifted.
    """
    row = {
        "key": effect.containment_key,
        "connection": effect.connection,
        "action": effect.action,
        "target_type": effect.target_type,
        "target_value": effect.target_value,
        "state": "lifted",
        "ours": False,
        "since": effect.intended_at,
    }
    held = await containments.lock_or_make(session, row)
    if held.state != "lifted":
        return None
    held.since, held.lifted_at, held.ours, held.effect_id = (
        effect.intended_at,
        None,
        True,
        effect.id,
    )
    lease = {
        "containment_key": held.key,
        "run_id": request.run_id,
        "path": request.path,
        "state": "live",
        "created_at": effect.intended_at,
    }
    id_ = containments.lease_id(request.run_id, request.path)
    await containments.register(session, {"id": id_, **lease})
    await containments.end_lease(session, id_, request.reason, now)
    return held
