"""The activities `hold` and `list_due`: a lease's timer, and what is due on a containment."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import ContainmentState, LeaseEndReason, LeaseState
from orchestrator.engine.activities.step_records import step_event
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import LeaseRow


class HoldTarget:
    """The store says when a lease ends. Uses nothing else."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Set once when the step's lease ends. Raise Unavailable."""
        with translate_errors():
            now, ref = self._rt.clock(), request.ref
            id_ = containments.lease_id(ref.run.run_id, ref.path)
            async with self._rt.store.write() as session:
                lease = await containments.get_lease(session, id_)
                if lease is None or lease.state is not LeaseState.LIVE or lease.until is not None:
                    return
                until = now + timedelta(seconds=request.seconds)
                await containments.set_lease_end(session, id_, until)
                data = {
                    "containment": lease.containment_key,
                    "until": until,
                    "seconds": request.seconds,
                }
                event = step_event(ref, EventKind.LEASE_CHANGED, data, now, lease.created_at)
                await trail.record_all(session, [event])

    @activity.defn(name=Activity.LIST_DUE)
    async def list_due(self, key: str) -> list[UndoRequest]:
        """Return what is to be undone now for a containment. Raise Unavailable.

        One without a lease, whose release a crash or its system cut short, has its last lease ended
        again when its retry is due, which lifts it.
        """
        with translate_errors():
            async with self._rt.store.read() as session:
                return [_request(lease) for lease in await _due(session, key, self._rt.clock())]


async def _due(session: AsyncSession, key: str, now: datetime) -> list[LeaseRow]:
    if live := await containments.live_leases(session, key):
        return [lease for lease in live if lease.until is not None and lease.until <= now]
    row = await containments.get(session, key)
    if row is None or row.state is ContainmentState.LIFTED:
        return []
    if row.retry_at is not None and row.retry_at > now:
        return []
    last = await containments.last_ended_lease(session, key)
    return [last] if last else []


def _request(lease: LeaseRow) -> UndoRequest:
    cause, actor = lease.end_reason or LeaseEndReason.EXPIRED, lease.ended_by or "system"
    return UndoRequest(
        run_id=lease.run_id,
        path=lease.path,
        cause=cause,
        reason=cause.describe(actor),
        actor=actor,
    )
