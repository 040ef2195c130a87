"""The activities `hold` and `due`: start the clock of a lease, and say which leases are over."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.engine.activities.failures import told_to_workflow
from orchestrator.engine.activities.undoing import TIME_IS_UP
from orchestrator.engine.activities.written import step_event
from orchestrator.engine.contracts import TASK_QUEUE, Activity, DueReply, HoldInput, HoldRequest, UndoRequest, Workflow
from orchestrator.runtime import Runtime
from orchestrator.store import containments
from orchestrator.store.tables import LeaseRow

BY_HAND = "released by "
"""How the reason of a lease begins that a person ends; the person's name follows."""


async def watch(client: Client, key: str) -> None:
    """Wakes the workflow that watches a containment's leases, started where there is none."""
    await client.start_workflow(
        Workflow.HOLD, HoldInput(containment_key=key), id=f"hold-{key}", task_queue=TASK_QUEUE, start_signal="changed"
    )


class Holding:
    """The store says when a lease ends; the workflow only wakes up in time."""

    def __init__(self, rt: Runtime, client: Client) -> None:
        self._rt = rt
        self._client = client

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Sets when the step's lease ends, once, and wakes the containment's workflow. Raises Unavailable."""
        with told_to_workflow():
            run_id = request.ref.run.run_id
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                lease = await containments.lease(session, containments.lease_id(run_id, request.ref.path))
                if lease is not None and lease.state == "live" and lease.until is None:
                    until = now + timedelta(seconds=request.seconds)
                    await containments.set_until(session, lease.id, until)
                    told = {"containment": lease.containment_key, "until": until, "seconds": request.seconds}
                    await trail.record_all(session, [step_event(request.ref, EventKind.LEASE_CHANGED, told, now, lease.created_at)])
            await watch(self._client, request.containment_key)

    @activity.defn(name=Activity.DUE)
    async def due(self, hold: HoldInput) -> DueReply:
        """Which leases of a containment are over now, and when to look again; one that a crash left without a lease is lifted too."""
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.read() as session:
                live = await containments.live(session, hold.containment_key)
                over = [_over(lease) for lease in live if lease.until is not None and lease.until <= now]
                if not live:
                    over = await _orphaned(session, hold.containment_key)
            return DueReply(ended=tuple(over), wake_at=_next(live, now), live=len(live))


def _next(leases: list[LeaseRow], now: datetime) -> datetime | None:
    return min((lease.until for lease in leases if lease.until is not None and lease.until > now), default=None)


def _over(lease: LeaseRow) -> UndoRequest:
    reason = lease.reason or TIME_IS_UP
    actor = f"person:{reason.removeprefix(BY_HAND)}" if reason.startswith(BY_HAND) else "system"
    return UndoRequest(run_id=lease.run_id, path=lease.path, reason=reason, actor=actor)


async def _orphaned(session: AsyncSession, key: str) -> list[UndoRequest]:
    held = await containments.get(session, key)
    lease = await containments.last_ended(session, key) if held and held.ours and held.state in {"held", "lifting"} else None
    return [_over(lease)] if lease else []
