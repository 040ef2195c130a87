"""The activity `plan`: look what would change, hold the target for this run, and hear what the policy says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.connections import open_connection_for
from orchestrator.contracts.messages import (
    ActionCall,
    Activity,
    PlanReply,
    PlanRequest,
    PolicyVerdict,
    Verdict,
)
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.masking import masked
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.refused_writes import attempts_reported
from orchestrator.engine.activities.step_records import (
    change_told,
    save_step,
    step_event,
    stored_verdict,
)
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments
from orchestrator.store.tables import ContainmentRow

LIFTING_WAIT = timedelta(seconds=1)


class Planning:
    """Changes nothing outside; inside, a lease is registered before the last look."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.PLAN)
    async def plan(self, request: PlanRequest) -> PlanReply:
        """The exact change and the verdict on it. Raises Unavailable (also while the target's containment is being lifted), Rejected."""
        with told_to_workflow():
            started = self._rt.clock()
            connector = await open_connection_for(self._rt, request.call.connection, Access.READ)
            change = await self._look(connector, request.call)
            verdict = await self._settle(request, change, started, stale=not change.changed)
            if (
                verdict is None
            ):  # What it saw in force may have been lifted before our lease counted: look again.
                change = await self._look(connector, request.call)
                verdict = await self._settle(request, change, started, stale=False)
            if verdict is None:
                raise Unavailable(
                    f"{change.target} changed hands while it was looked at", LIFTING_WAIT
                )
            return PlanReply(change=change, verdict=verdict)

    async def _look(self, connector: Connector[Any], call: ActionCall) -> Change:
        async with attempts_reported(self._rt, call):
            planned_change = await connector.plan(
                call.action, call.input, call_for(call.ref, call.action)
            )
        return Change(
            connection=call.connection,
            connector=connector.name,
            action=call.action,
            effect=call.effect,
            input=call.input,
            planned_change=planned_change,
        )

    async def _settle(
        self, request: PlanRequest, change: Change, started: datetime, *, stale: bool
    ) -> PolicyVerdict | None:
        """Judges, registers the lease and records the plan, in one transaction; None when the look was too early to rely on."""
        now = self._rt.clock()
        call = request.call
        async with self._rt.store.write() as session:
            verdict = await evaluate_change(session, change, call.ref.run, now)
            if _holds(request) and verdict.outcome is not Verdict.DENY:
                held_before = await register_lease(session, call, change, now)
                if stale and not held_before:
                    return None
            await _record(session, request, change, verdict, started, now)
        return verdict


def _holds(request: PlanRequest) -> bool:
    """Only what is in force afterwards can be held: nobody holds a ticket. A restore is held when it is for a time."""
    held = request.call.effect is Effect.CONTAIN or (
        request.call.effect is Effect.RESTORE and request.hold_seconds is not None
    )
    return request.lease and held and request.call.ref.run.mode is Mode.LIVE


async def register_lease(
    session: AsyncSession, call: ActionCall, change: Change, now: datetime
) -> bool:
    """Holds the containment for this step. Whether another lease held it already, with a change of ours in force. Raises Unavailable."""
    row = await containments.lock_or_make(session, _containment(change, now))
    if row.state == "lifting":
        raise Unavailable(f"the containment of {change.target} is being lifted", LIFTING_WAIT)
    held_before = (
        row.state == "held" and row.ours and await containments.live_count(session, row.key) > 0
    )
    _take_up(row, now)
    ref = call.ref
    lease = {
        "containment_key": row.key,
        "run_id": ref.run.run_id,
        "path": ref.path,
        "state": "live",
        "created_at": now,
    }
    await containments.register(
        session, {"id": containments.lease_id(ref.run.run_id, ref.path), **lease}
    )
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


def _take_up(row: ContainmentRow, now: datetime) -> None:
    """A lifted containment begins anew, as nobody's; one that could not be lifted is still ours."""
    if row.state == "lifted":
        row.ours, row.effect_id, row.since, row.lifted_at, row.verified_at = (
            False,
            None,
            now,
            None,
            None,
        )
    if row.state != "held":
        row.retry_at = None
    row.state, row.error = "held", None


def _containment(change: Change, now: datetime) -> dict[str, Any]:
    target = change.target
    return {
        "key": change.containment_key,
        "connection": change.connection,
        "action": change.action,
        "target_type": target.type.value,
        "target_value": target.value,
        "state": "held",
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
    call, stored = request.call, stored_verdict(verdict, started)
    about = {
        "effect": change.effect.value,
        "digest": change.digest,
        "hold_seconds": request.hold_seconds,
    }
    state = StepState.REFUSED if verdict.outcome is Verdict.DENY else StepState.PLANNED
    error = "; ".join(verdict.reasons) if verdict.outcome is Verdict.DENY else None
    await save_step(
        session,
        call,
        state,
        started,
        now,
        planned_change=masked(change.planned_change),
        planned=about,
        verdict=stored,
        error=error,
    )
    planned = step_event(
        call.ref, EventKind.STEP_PLANNED, change_told(change), now, change.digest, started
    )
    heard = {"change_digest": change.digest, "target": str(change.target), "verdict": stored}
    await trail.record_all(
        session,
        [
            planned,
            step_event(call.ref, EventKind.STEP_EVALUATED, heard, now, change.digest, started),
        ],
    )
