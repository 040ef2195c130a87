"""The activities `hold` and `due`: start the clock of a lease, and say which leases are over and whether the device is to be looked at."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.containments.watch import watch
from orchestrator.contracts.messages import Activity, DueReply, HoldInput, HoldRequest, UndoRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.engine.activities.step_records import step_event
from orchestrator.engine.activities.undo import TIME_IS_UP
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.queries.containments import BY_HAND
from orchestrator.store.tables import ContainmentRow, LeaseRow


class Holding:
    """The store says when a lease ends; the workflow only wakes up in time."""

    def __init__(self, rt: Runtime, client: Client) -> None:
        self._rt = rt
        self._client = client

    @activity.defn(name=Activity.HOLD)
    async def hold(self, request: HoldRequest) -> None:
        """Sets when the step's lease ends (if it does), once, and wakes the containment's workflow. Raises Unavailable."""
        with told_to_workflow():
            if request.seconds is not None:
                await self._start_clock(request, timedelta(seconds=request.seconds))
            await watch(self._client, request.containment_key)

    @activity.defn(name=Activity.DUE)
    async def due(self, hold: HoldInput) -> DueReply:
        """Which leases of a containment are over now, whether to read the device, and when to look again.

        One that a crash left without a lease, or whose release did not come off and is to be tried again, is lifted too.
        """
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.read() as session:
                held = await containments.get(session, hold.containment_key)
                if held is None:
                    return DueReply()
                live = await containments.live(session, held.key)
                if not live:
                    return await _left(session, held, now)
                every = timedelta(seconds=(await policy_in_force(session)).policy.drift.every)
            over = tuple(
                _over(lease) for lease in live if lease.until is not None and lease.until <= now
            )
            check_at = _check_at(held, hold.checked_at, every)
            ends = [lease.until for lease in live if lease.until is not None and lease.until > now]
            check = check_at is not None and check_at <= now
            moments = [*ends, *([check_at] if check_at is not None and not check else [])]
            return DueReply(
                ended=over,
                check=check and not over,
                wake_at=min(moments, default=None),
                live=len(live),
            )

    async def _start_clock(self, request: HoldRequest, length: timedelta) -> None:
        now = self._rt.clock()
        async with self._rt.store.write() as session:
            lease = await containments.lease(
                session, containments.lease_id(request.ref.run.run_id, request.ref.path)
            )
            if lease is None or lease.state != "live" or lease.until is not None:
                return
            until = now + length
            await containments.set_until(session, lease.id, until)
            told = {
                "containment": lease.containment_key,
                "until": until,
                "seconds": request.seconds,
            }
            await trail.record_all(
                session,
                [step_event(request.ref, EventKind.LEASE_CHANGED, told, now, lease.created_at)],
            )


def _check_at(
    held: ContainmentRow, checked_at: datetime | None, every: timedelta
) -> datetime | None:
    """When the device is to be read next; what is being lifted is looked at by who lifts it."""
    if held.state != "held":
        return None
    seen = held.verified_at or held.since
    return max(seen, checked_at or seen) + every


def _over(lease: LeaseRow) -> UndoRequest:
    reason = lease.reason or TIME_IS_UP
    actor = f"person:{reason.removeprefix(BY_HAND)}" if reason.startswith(BY_HAND) else "system"
    return UndoRequest(run_id=lease.run_id, path=lease.path, reason=reason, actor=actor)


async def _left(session: AsyncSession, held: ContainmentRow, now: datetime) -> DueReply:
    """What nobody holds any more is lifted, or known to be not ours to lift. A stuck one has its moment."""
    if held.state == "stuck" and held.retry_at is not None and held.retry_at > now:
        return DueReply(wake_at=held.retry_at)
    lease = await containments.last_ended(session, held.key) if held.state != "lifted" else None
    return DueReply(ended=(_over(lease),) if lease else ())
