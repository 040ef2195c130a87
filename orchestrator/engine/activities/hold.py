"""The activities `hold` and `list_due`: a lease's timer, and what a containment needs now."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.containments.watch import watch
from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.containment import DueReply, HoldInput, HoldRequest
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState, LeaseEndReason, LeaseState
from orchestrator.engine.activities.step_records import step_event
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow, LeaseRow


class HoldTarget:
    """The store says when a lease ends; the workflow only wakes up in time."""

    def __init__(self, rt: Runtime, client: Client) -> None:
        self._rt = rt
        self._client = client

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Set once when the step's lease ends, and wake the containment's workflow.

        Raise Unavailable.
        """
        with translate_errors():
            if request.seconds is not None:
                await self._start_timer(request, timedelta(seconds=request.seconds))
            await watch(self._client, request.containment_key)

    @activity.defn(name=Activity.LIST_DUE)
    async def list_due(self, hold: HoldInput) -> DueReply:
        """Return which leases are over, whether to check for drift, and when to look again.

        A containment that a crash left without a lease, or whose release is to be retried, has its
        last lease ended again, which lifts it.
        """
        with translate_errors():
            now = self._rt.clock()
            async with self._rt.store.read() as session:
                containment = await containments.get(session, hold.containment_key)
                if containment is None:
                    return DueReply()
                live = await containments.live_leases(session, containment.key)
                if not live:
                    return await _without_leases(session, containment, now)
                drift = (await load_policy(session)).policy.drift
            check_at = _check_at(containment, hold.checked_at, timedelta(seconds=drift.every))
            over = [lease for lease in live if lease.until is not None and lease.until <= now]
            ends = [lease.until for lease in live if lease.until is not None and lease.until > now]
            check = check_at is not None and check_at <= now
            moments = [*ends, *([check_at] if check_at is not None and not check else [])]
            return DueReply(
                ended=tuple(_undo_request(lease) for lease in over),
                check=check and not over,
                wake_at=min(moments, default=None),
                live=len(live),
            )

    async def _start_timer(self, request: HoldRequest, length: timedelta) -> None:
        now, ref = self._rt.clock(), request.ref
        async with self._rt.store.write() as session:
            lease = await containments.get_lease(
                session, containments.lease_id(ref.run.run_id, ref.path)
            )
            if lease is None or lease.state is not LeaseState.LIVE or lease.until is not None:
                return
            until = now + length
            await containments.set_lease_end(session, lease.id, until)
            data = {
                "containment": lease.containment_key,
                "until": until,
                "seconds": request.seconds,
            }
            event = step_event(ref, EventKind.LEASE_CHANGED, data, now, lease.created_at)
            await trail.record_all(session, [event])


def _check_at(
    containment: ContainmentRow, checked_at: datetime | None, every: timedelta
) -> datetime | None:
    """Return when to read the device next; None while a release reads it."""
    if containment.state is not ContainmentState.HELD:
        return None
    last = containment.verified_at or containment.since
    return max(last, checked_at or last) + every


def _undo_request(lease: LeaseRow) -> UndoRequest:
    cause, actor = lease.end_reason or LeaseEndReason.EXPIRED, lease.ended_by or "system"
    return UndoRequest(
        run_id=lease.run_id,
        path=lease.path,
        cause=cause,
        reason=cause.describe(actor),
        actor=actor,
    )


async def _without_leases(
    session: AsyncSession, containment: ContainmentRow, now: datetime
) -> DueReply:
    """Return the end of the last lease once more; for a stuck one not before its retry."""
    if containment.state is ContainmentState.LIFTED:
        return DueReply()
    retry_at = containment.retry_at
    is_stuck = containment.state is ContainmentState.STUCK
    if is_stuck and retry_at is not None and retry_at > now:
        return DueReply(wake_at=retry_at)
    lease = await containments.last_ended_lease(session, containment.key)
    return DueReply(ended=(_undo_request(lease),) if lease else ())
