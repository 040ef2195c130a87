"""The activity `apply`: evaluate again, record the intent, then apply exactly what was planned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.approvals.coverage import missing_approval
from orchestrator.audit.sinks.requirement import missing_sink
from orchestrator.connections.call_context import call_for
from orchestrator.connections.open import open_connection_for
from orchestrator.containments.in_flight import effect_in_flight
from orchestrator.containments.restores import begin_restore
from orchestrator.contracts.change import ApplyReply, ApplyRequest
from orchestrator.contracts.names import Activity
from orchestrator.domain.change import Effect, PolicyVerdict, Verdict
from orchestrator.domain.containment import EffectState, LeaseState
from orchestrator.domain.errors import Busy, Halted, Rejected, Unknown
from orchestrator.domain.run import Mode
from orchestrator.engine.activities import effect_records
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.start_checks import check_current
from orchestrator.engine.activities.step_records import record_busy, step_progress
from orchestrator.policy.evaluate import COUNTED
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects
from orchestrator.store.tables import EffectRow


@dataclass(frozen=True, slots=True)
class _Permit:
    """The vendor may be called. Where anything changes, the intent is recorded."""

    verdict: PolicyVerdict
    is_retry: bool = False  # an earlier call may have made the change already


class ApplyChange:
    """Two transactions around the vendor's call. A retry finds the intent and repeats the call."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.APPLY)
    async def apply(self, request: ApplyRequest) -> ApplyReply:
        """Apply a change. Raise Unavailable, Rejected, Unknown (the reply was lost)."""
        async with step_progress(self._rt, request.call):
            _check_request(request)
            started = self._rt.clock()
            async with self._rt.store.write() as session:
                decided = await self._decide(session, request, started)
            if isinstance(decided, ApplyReply):
                return decided
            # The intent is committed: from here on, a crash can still be undone.
            return await self._call_vendor(request, decided, started)

    async def _decide(
        self, session: AsyncSession, request: ApplyRequest, now: datetime
    ) -> ApplyReply | _Permit:
        """Return the permit to call the vendor, or why that is not done."""
        change = request.change
        earlier = await effects.get(session, effect_records.effect_id_of(request))
        same = earlier if earlier and earlier.change_digest == change.digest else None
        if same and same.state.is_applied:
            verdict = await effect_records.recorded_verdict(session, request)
            return ApplyReply(outcome="applied", verdict=verdict, output=same.output or {})
        await check_current(session, request.call.ref.run)
        if change.effect in COUNTED:
            await self._rt.store.serialize_limits(session)
        verdict = await evaluate_change(session, change, request.call.ref.run, now, to_apply=True)
        if verdict.outcome is Verdict.DENY:
            return await effect_records.record_not_applied(
                session, request, verdict, now, "refused", "; ".join(verdict.reasons)
            )
        if request.approval_id or verdict.outcome is Verdict.ASK:
            under = same.approval_id if same and same.state is EffectState.INTENDED else None
            lack = await missing_approval(session, request, verdict, now, intended_under=under)
            if lack:
                return await effect_records.record_not_applied(
                    session, request, verdict, now, "needs_approval", lack
                )
        if not change.changed:
            return _Permit(verdict)
        if earlier is not None and earlier.state is EffectState.UNDONE:
            detail = "it was undone before, and each attempt of a run applies a step once"
            return await effect_records.record_not_applied(
                session, request, verdict, now, "refused", detail
            )
        return await self._intend(session, request, verdict, earlier, now)

    async def _intend(
        self,
        session: AsyncSession,
        request: ApplyRequest,
        verdict: PolicyVerdict,
        earlier: EffectRow | None,
        now: datetime,
    ) -> ApplyReply | _Permit:
        """Record the intent, unless the lease has ended or another run makes the change."""
        is_retry = earlier is not None and earlier.state is EffectState.INTENDED
        ref = request.call.ref
        if request.change.effect is Effect.RESTORE:
            await containments.lock_connection(session, request.change.connection)
            try:
                unplanned = await begin_restore(session, request.change, now)
            except Busy as error:
                return await _busy(session, request, verdict, str(error), error.run_id, now)
            if unplanned:
                detail = "; ".join(map(str, unplanned))
                return ApplyReply(outcome="outdated", verdict=verdict, detail=detail)
        lease = await containments.get_lease(
            session, containments.lease_id(ref.run.run_id, ref.path)
        )
        if lease is not None:
            containment = await containments.lock(session, lease.containment_key)
            # Again, now that no one else can change it.
            lease = await containments.get_lease(session, lease.id)
            if containment is None or lease is None or lease.state is not LeaseState.LIVE:
                detail = "it was released before it was applied"
                return await effect_records.record_not_applied(
                    session, request, verdict, now, "refused", detail
                )
            other = await effect_records.effect_of_other_run(session, request, containment)
            if other is not None and await effect_in_flight(session, other, now):
                detail = f"run {other.run_id} is applying the same to {request.change.target}"
                return await _busy(session, request, verdict, detail, other.run_id, now)
            if other is not None and await effect_records.is_newer_than_plan(
                session, request, other, now
            ):
                return await effect_records.record_shared(session, request, verdict, other, now)
            # From now on it may be in force, whatever the reply.
            containment.take_ownership(effect_records.effect_id_of(request), now)
        if wait := await missing_sink(self._rt, session):
            raise wait
        await effect_records.record_intent(session, request, verdict, now)
        return _Permit(verdict, is_retry)

    async def _call_vendor(
        self, request: ApplyRequest, permit: _Permit, started: datetime
    ) -> ApplyReply:
        call, change = request.call, request.change
        access = Access.WRITE if change.changed else Access.READ
        try:
            connector = await open_connection_for(self._rt, change.connection, access)
            output = await connector.apply(
                change.action, change.planned_change, call_for(call.ref, change.action)
            )
        except Rejected as error:
            if permit.is_retry:
                # It says nothing about the earlier call, whose change may be in the world.
                raise Unknown(str(error)) from error
            async with self._rt.store.write() as session:
                await effect_records.record_failed(
                    session, request, str(error), started, self._rt.clock()
                )
            raise
        async with self._rt.store.write() as session:
            await effect_records.record_applied(session, request, output, started, self._rt.clock())
        return ApplyReply(outcome="applied", verdict=permit.verdict, output=output)


async def _busy(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    detail: str,
    run_id: str | None,
    now: datetime,
) -> ApplyReply:
    """Record that another change has to end first, and return that."""
    await record_busy(session, request.call, detail, run_id, now)
    return ApplyReply(outcome="busy", verdict=verdict, detail=detail)


def _check_request(request: ApplyRequest) -> None:
    """Raise Halted for a dry run, and Rejected for a change that is not the step's."""
    if request.call.ref.run.mode is not Mode.LIVE:
        raise Halted("a dry run applies nothing")
    call, change = request.call, request.change
    if (call.connection, call.action, call.effect, call.input) != (
        change.connection,
        change.action,
        change.effect,
        change.input,
    ):
        raise Rejected(f"step {call.ref.path}: the change was not planned for this step")
