"""The activity `plan`: the exact change, the policy's verdict, and the step's lease."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.open import open_connection_for
from orchestrator.containments.release_scope import covering_effect, shares_objects
from orchestrator.containments.restores import load_holders
from orchestrator.contracts.change import PlanReply, PlanRequest, StepCall
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.containment import ContainmentState, LeaseState
from orchestrator.domain.errors import Busy, Rejected
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.start_checks import check_current
from orchestrator.engine.activities.step_records import (
    change_data,
    fail_step_on_write,
    record_busy,
    save_step,
    step_event,
    step_progress,
    verdict_record,
)
from orchestrator.engine.decide.result_limits import size_problem
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments

LIFTING_WAIT = timedelta(seconds=1)


class PlanChange:
    """Changes nothing outside. Inside, a lease is registered before the device is last read."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.PLAN)
    async def plan(self, request: PlanRequest) -> PlanReply:
        """Return the exact change and its verdict.

        Raise Rejected, Unavailable. While the target is being lifted, the reply says so.
        """
        async with step_progress(self._rt, request.call):
            started, connection = self._rt.clock(), request.call.connection
            connector = await open_connection_for(self._rt, connection, Access.READ)
            async with self._rt.store.read() as session:
                releases = await containments.count_releases(session, connection)
            change = await self._plan_on_device(connector, request.call)
            reply = await self._evaluate(request, change, started, releases)
            if reply is None:
                # What was in force may have been lifted before our lease counted: read again.
                change = await self._plan_on_device(connector, request.call)
                reply = await self._evaluate(request, change, started, None)
            if reply is None:
                raise Busy(f"{change.target} changed during planning", LIFTING_WAIT)
            return reply

    async def _plan_on_device(self, connector: Connector[Any], call: StepCall) -> Change:
        async with fail_step_on_write(self._rt, call):
            planned_change = await connector.plan(
                call.action, call.input, call_for(call.ref, call.action)
            )
        if problem := size_problem(planned_change):
            raise Rejected(problem)
        return Change(
            connection=call.connection,
            connector=connector.name,
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )

    async def _evaluate(
        self, request: PlanRequest, read: Change, started: datetime, releases: int | None
    ) -> PlanReply | None:
        """Evaluate, register the lease and record the plan, in one transaction.

        Return None when the device was read too early to rely on. `releases`: how many the
        connection had seen before it was read; None: the lease was registered before it was read.
        """
        now = self._rt.clock()
        call = request.call
        async with self._rt.store.write() as session:
            await check_current(session, call.ref.run)
            if call.effect in {Effect.CONTAIN, Effect.RESTORE}:
                await containments.lock_connection(session, call.connection)
            change = read.model_copy(update={"holders": await load_holders(session, read)})
            verdict = await evaluate_change(session, change, call.ref.run, now)
            if _takes_lease(request) and _may_hold(request, change, verdict):
                if busy := await _busy_reason(session, change, now):
                    await record_busy(session, call, busy, None, started)
                    return PlanReply(change=change, verdict=verdict, busy=busy)
                held_before = await register_lease(session, call, change, now)
                if releases is not None and (
                    (not change.changed and not held_before)
                    or releases != await containments.count_releases(session, call.connection)
                ):
                    return None
            await _record(session, request, change, verdict, started, now)
        return PlanReply(change=change, verdict=verdict)


def _may_hold(request: PlanRequest, change: Change, verdict: PolicyVerdict) -> bool:
    """Return whether nothing is left to ask: a lease before the answer would hold for a maybe."""
    if verdict.outcome is Verdict.DENY:
        return False
    if verdict.outcome is Verdict.ALLOW and request.approved is None:
        return True
    return not change.changed or change.digest in (request.approved or ())


def _takes_lease(request: PlanRequest) -> bool:
    """Return whether the step holds its target: a containment, or a restore for a time."""
    effect = request.call.effect
    holds = effect is Effect.CONTAIN or (
        effect is Effect.RESTORE and request.hold_seconds is not None
    )
    return request.lease and holds and request.call.ref.run.mode is Mode.LIVE


async def register_lease(
    session: AsyncSession, call: StepCall, change: Change, now: datetime
) -> bool:
    """Hold the containment for this step.

    Return whether another lease held it before, with a change by Tocsin in force.
    """
    row = await containments.lock_or_create(session, _containment(change, now))
    held_before = (
        row.state == ContainmentState.HELD
        and row.ours
        and await containments.count_live_leases(session, row.key) > 0
    )
    row.hold()
    if not change.changed:
        row.enter_force(now)
        if not row.ours and (effect := await covering_effect(session, row)) is not None:
            row.take_ownership(effect.id, now)
    ref = call.ref
    lease = {
        "id": containments.lease_id(ref.run.run_id, ref.path),
        "containment_key": row.key,
        "run_id": ref.run.run_id,
        "path": ref.path,
        "state": LeaseState.LIVE,
        "created_at": now,
    }
    await containments.register_lease(session, lease)
    data = {
        "containment": row.key,
        "connection": change.connection,
        "action": change.action,
        "target": str(change.target),
    }
    await trail.record_all(
        session, [step_event(ref, EventKind.LEASE_REGISTERED, data, now, row.key)]
    )
    return held_before


async def _busy_reason(session: AsyncSession, change: Change, now: datetime) -> str | None:
    """Return which release of the target, or of a part of it, has to end first."""
    own, shares = change.containment_key, shares_objects(change)
    for other in await containments.being_lifted_within(
        session, change.connection, change.extent, now
    ):
        if other.key == own:
            return f"the containment of {change.target} is being lifted"
        if shares:
            return (
                f"the containment of {other.target}, which overlaps {change.target}, "
                "is being lifted"
            )
    return None


def _containment(change: Change, now: datetime) -> dict[str, Any]:
    target, extent = change.target, change.extent
    return {
        "key": change.containment_key,
        "extent_first": extent.first,
        "extent_last": extent.last,
        "was_in_force": False,
        "connection": change.connection,
        "action": change.action,
        "target_type": target.type.value,
        "target_value": target.value,
        "state": ContainmentState.HELD,
        "ours": False,
        "since": now,
    }


async def _record(
    session: AsyncSession,
    request: PlanRequest,
    change: Change,
    verdict: PolicyVerdict,
    started: datetime,
    now: datetime,
) -> None:
    call, recorded = request.call, verdict_record(verdict, started)
    denied = verdict.outcome is Verdict.DENY
    await save_step(
        session,
        call,
        StepState.REFUSED if denied else StepState.PLANNED,
        started,
        now,
        planned_change=mask_secrets(change.planned_change),
        planned={
            "effect": change.effect.value,
            "digest": change.digest,
            "hold_seconds": request.hold_seconds,
        },
        verdict=recorded,
        error="; ".join(verdict.reasons) if denied else None,
    )
    evaluated = {
        "change_digest": change.digest,
        "target": str(change.target),
        "verdict": recorded,
    }
    parts = (change.digest, started)
    events = [
        step_event(call.ref, EventKind.STEP_PLANNED, change_data(change), now, *parts),
        step_event(call.ref, EventKind.STEP_EVALUATED, evaluated, now, *parts),
    ]
    await trail.record_all(session, events)
