"""Undo records: which steps can be undone, and the audit events and states of an undo."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.containments.release_gate import LIFTING_TIME
from orchestrator.containments.release_scope import has_undo
from orchestrator.contracts.change import UndoableStep, UndoReply, UndoRequest
from orchestrator.contracts.names import Workflow
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.containment import ContainmentState, LeaseState
from orchestrator.domain.errors import Busy, Stopped, Unavailable
from orchestrator.domain.run import (
    WaitingFor,
    WaitingForKillSwitch,
    WaitingForRetry,
    WaitingForTarget,
)
from orchestrator.engine.temporal.retries import pause_after
from orchestrator.playbook.plan import Retry
from orchestrator.store.queries import containments, effects, steps
from orchestrator.store.tables import ContainmentRow, EffectRow, LeaseRow

_RETRY = Retry(wait=1)
"""The pauses between the tries of an undo, as `RELEASE_RETRY` has them."""
_LONGEST_STOP = timedelta(minutes=1)
"""A release asks at least so often whether a kill switch still stops it."""


async def undoable_steps(session: AsyncSession, run_id: str) -> list[UndoableStep]:
    """Return the steps of a run with a change that has an undo, or with a live lease.

    Newest first. A lease that ended is lifted, kept for others, or stuck: another undo is no help.
    """
    leases = {
        lease.path: lease.state for lease in await containments.leases_of_run(session, run_id)
    }
    found = {
        row.path: row.seq
        for row in await effects.in_force_of_run(session, run_id)
        if has_undo(Change.model_validate(row.change))
        and leases.get(row.path) is not LeaseState.ENDED
    }
    for path, state in leases.items():
        if state is LeaseState.LIVE and path not in found:
            step = await steps.get(session, run_id, path)
            found[path] = step.seq if step else 0
    newest = sorted(found.items(), key=lambda item: item[1], reverse=True)
    return [UndoableStep(path=path, seq=seq) for path, seq in newest]


async def end_lease(
    session: AsyncSession, request: UndoRequest, lease: LeaseRow, now: datetime
) -> None:
    """End a lease, if it is live."""
    if await containments.end_lease(session, lease.id, request.cause, request.actor, now):
        data = {
            "containment": lease.containment_key,
            "cause": request.cause,
            "reason": request.reason,
        }
        await record_undo(session, EventKind.LEASE_ENDED, request, data, now, lease.created_at)


async def record_kept(
    session: AsyncSession,
    request: UndoRequest,
    containment: ContainmentRow,
    detail: str,
    now: datetime,
) -> UndoReply:
    """Record that the target stays contained, and why."""
    data = {"containment": containment.key, "reason": request.reason, "detail": detail}
    await record_undo(session, EventKind.UNDO_KEPT, request, data, now, containment.since)
    await mark_step(session, request, now)
    return UndoReply(outcome="kept", detail=detail)


async def record_undo_intent(
    session: AsyncSession, request: UndoRequest, effect: EffectRow, now: datetime
) -> None:
    """Record that the vendor is about to be called."""
    data = {"effect": effect.id, "change_digest": effect.change_digest, "reason": request.reason}
    parts = (effect.id, effect.intended_at)
    await record_undo(session, EventKind.UNDO_INTENDED, request, data, now, *parts)


async def mark_step(session: AsyncSession, request: UndoRequest, now: datetime) -> None:
    """Set the step's state to released or undone."""
    step = await steps.get(session, request.run_id, request.path)
    if step is None or not step.state.can_be_undone:
        return
    if request.cause.is_release:
        step.release(now)
    else:
        step.undo(now)


async def record_wait(
    session: AsyncSession, request: UndoRequest, waiting_for: WaitingFor | None
) -> None:
    """Record what the undo of a step waits for; the step keeps its state."""
    step = await steps.get(session, request.run_id, request.path)
    if step is None or not step.state.can_be_undone:
        return
    if waiting_for is None:
        step.waiting_for = None
    else:
        step.wait_for(waiting_for)


async def postpone(
    session: AsyncSession, request: UndoRequest, error: Unavailable, now: datetime
) -> None:
    """Record what an undo waits for, and when a release without leases is tried again.

    A run repeats the undos of its roll-back itself, so that the store's moment is a later one.
    """
    info = activity.info()
    attempt, is_release = info.attempt, info.workflow_type == Workflow.RELEASE
    lease = await containments.get_lease(
        session, containments.lease_id(request.run_id, request.path)
    )
    row = await containments.lock(session, lease.containment_key) if lease else None
    if row is not None and is_release:
        attempt = max(row.tries, 1)
    pause = error.retry_after or pause_after(_RETRY, attempt)
    if isinstance(error, Stopped) and is_release and lease and lease.ended_at:
        pause = max(pause, min(now - lease.ended_at, _LONGEST_STOP))
    await record_wait(session, request, _wait_after(error, attempt, now + pause))
    if row is None or row.state is ContainmentState.LIFTED:
        return
    if not await containments.count_live_leases(session, row.key):
        row.retry_at = now + pause + (timedelta() if is_release else LIFTING_TIME)


def _wait_after(error: Unavailable, attempt: int, retry_at: datetime) -> WaitingFor:
    """Return what an undo waits for after an attempt (1: the first)."""
    match error:
        case Stopped():
            return WaitingForKillSwitch(reason=str(error), retry_at=retry_at)
        case Busy():
            return WaitingForTarget(reason=str(error), run_id=error.run_id, retry_at=retry_at)
        case _:
            return WaitingForRetry(
                error=str(error), attempt=attempt, attempts=None, retry_at=retry_at
            )


async def record_undo(
    session: AsyncSession,
    kind: EventKind,
    request: UndoRequest,
    data: Mapping[str, Any],
    now: datetime,
    *parts: object,
) -> None:
    """Record an event about an undo. `parts` tell it from others of its kind."""
    await trail.record(
        session,
        kind,
        actor=request.actor,
        subject=request.run_id,
        data={"path": request.path, **data},
        now=now,
        event_id=trail.event_id(request.run_id, request.path, kind, *parts),
    )
