"""Effect records: the recorded intent of a change, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.containments.release_scope import disown_effect
from orchestrator.containments.restores import abandon_restore, complete_restore
from orchestrator.contracts.change import ApplyReply, ApplyRequest
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Effect, PolicyVerdict, Verdict
from orchestrator.domain.containment import EffectState
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.step_records import (
    change_data,
    read_at,
    save_step,
    step_event,
    verdict_record,
)
from orchestrator.store.queries import containments, effects, steps
from orchestrator.store.tables import ContainmentRow, EffectRow


def effect_id_of(request: ApplyRequest) -> str:
    """Return the id of the effect: one per run, step and attempt."""
    ref = request.call.ref
    return effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)


async def record_intent(
    session: AsyncSession, request: ApplyRequest, verdict: PolicyVerdict, now: datetime
) -> None:
    """Record that the vendor is about to be called."""
    change, call = request.change, request.call
    await effects.record_intent(session, _intent_row(request, now))
    data = {
        **change_data(change),
        "effect": effect_id_of(request),
        "approval": request.approval_id,
        "verdict": verdict.model_dump(mode="json"),
    }
    event = step_event(call.ref, EventKind.STEP_INTENDED, data, now, change.digest)
    await trail.record_all(session, [event])
    await save_step(
        session,
        call,
        StepState.INTENDED,
        now,
        now,
        planned_change=mask_secrets(change.planned_change),
        verdict=verdict_record(verdict, now),
    )


async def record_applied(
    session: AsyncSession,
    request: ApplyRequest,
    output: dict[str, Any],
    started: datetime,
    now: datetime,
) -> None:
    """Record that the vendor confirmed the change."""
    change, call, effect_id = request.change, request.call, effect_id_of(request)
    kind, state = EventKind.STEP_DONE, StepState.DONE
    if change.changed:
        await effects.set_outcome(session, effect_id, EffectState.APPLIED, now, output)
        if change.effect is Effect.RESTORE:
            await containments.lock_connection(session, change.connection)
            await complete_restore(session, change, effect_id, call.ref.run.run_id, now)
        kind, state = EventKind.STEP_APPLIED, StepState.APPLIED
    await save_step(
        session,
        call,
        state,
        started,
        now,
        planned_change=mask_secrets(change.planned_change),
        result=mask_secrets(output),
    )
    data = {
        "effect": effect_id,
        "change_digest": change.digest,
        "target": str(change.target),
        "output": output,
    }
    await trail.record_all(session, [step_event(call.ref, kind, data, now, change.digest)])


async def record_failed(
    session: AsyncSession, request: ApplyRequest, error: str, started: datetime, now: datetime
) -> None:
    """Record that the vendor refused the change: nothing of it is in the world."""
    change, call, effect_id = request.change, request.call, effect_id_of(request)
    await containments.lock_connection(session, change.connection)
    if change.effect is Effect.RESTORE:
        await abandon_restore(session, change)
    if change.changed:
        await effects.set_outcome(session, effect_id, EffectState.FAILED, now)
        await disown_effect(session, change, effect_id, now)
    await save_step(session, call, StepState.FAILED, started, now, error=error)
    data = {"effect": effect_id, "change_digest": change.digest, "error": error}
    event = step_event(call.ref, EventKind.STEP_FAILED, data, now, change.digest, started)
    await trail.record_all(session, [event])


async def record_not_applied(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    now: datetime,
    outcome: Literal["refused", "needs_approval"],
    detail: str,
) -> ApplyReply:
    """Record why a planned change is not applied, and return the reply that says so."""
    digest, call = request.change.digest, request.call
    data = {
        "change_digest": digest,
        "target": str(request.change.target),
        "verdict": verdict.model_dump(mode="json"),
        "outcome": outcome,
        "detail": detail,
    }
    event = step_event(call.ref, EventKind.STEP_EVALUATED, data, now, digest, outcome, now)
    await trail.record_all(session, [event])
    if outcome == "refused":
        recorded = verdict_record(verdict, now)
        await save_step(session, call, StepState.REFUSED, now, now, verdict=recorded, error=detail)
    return ApplyReply(outcome=outcome, verdict=verdict, detail=detail)


async def effect_of_other_run(
    session: AsyncSession, request: ApplyRequest, containment: ContainmentRow
) -> EffectRow | None:
    """Return another run's effect that makes the same containment, or made it."""
    if not containment.ours or containment.effect_id in {None, effect_id_of(request)}:
        return None
    other = await effects.get(session, containment.effect_id or "")
    if other is None or other.run_id == request.call.ref.run.run_id:
        return None
    return other if other.containment_key == containment.key else None


async def is_newer_than_plan(
    session: AsyncSession, request: ApplyRequest, other: EffectRow, now: datetime
) -> bool:
    """Return whether another run's effect was applied since the device was read for the plan."""
    if not other.state.is_applied or other.ended_at is None:
        return False
    step = await steps.get(session, request.call.ref.run.run_id, request.call.ref.path)
    return other.ended_at >= (read_at(step) if step else now)


async def record_shared(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    other: EffectRow,
    now: datetime,
) -> ApplyReply:
    """Record that another run made the change, which this step now shares."""
    call, change = request.call, request.change
    output = other.output or {}
    await save_step(session, call, StepState.APPLIED, now, now, result=mask_secrets(output))
    data = {
        "effect": other.id,
        "shared": True,
        "change_digest": change.digest,
        "target": str(change.target),
    }
    event = step_event(call.ref, EventKind.STEP_DONE, data, now, change.digest)
    await trail.record_all(session, [event])
    return ApplyReply(
        outcome="applied",
        verdict=verdict,
        output=output,
        detail=f"run {other.run_id} applied it",
    )


async def recorded_verdict(session: AsyncSession, request: ApplyRequest) -> PolicyVerdict:
    """Return the verdict under which the change was applied before."""
    step = await steps.get(session, request.call.ref.run.run_id, request.call.ref.path)
    if step is None or step.verdict is None:
        reasons = ("it was applied before",)
        return PolicyVerdict(
            outcome=Verdict.ALLOW, reasons=reasons, policy_version=0, policy_digest=""
        )
    fields = PolicyVerdict.model_fields
    return PolicyVerdict.model_validate(
        {name: value for name, value in step.verdict.items() if name in fields}
    )


def _intent_row(request: ApplyRequest, now: datetime) -> dict[str, Any]:
    change, ref = request.change, request.call.ref
    target = change.target
    return {
        "id": effect_id_of(request),
        "run_id": ref.run.run_id,
        "path": ref.path,
        "seq": ref.seq,
        "playbook": ref.run.playbook,
        "source": ref.run.source,
        "connector": change.connector,
        "connection": change.connection,
        "action": change.action,
        "effect": change.effect.value,
        "target_type": target.type.value,
        "target_value": target.value,
        "extent_first": change.extent.first,
        "extent_last": change.extent.last,
        "containment_key": change.containment_key,
        "change": change.model_dump(mode="json"),
        "change_digest": change.digest,
        "state": EffectState.INTENDED,
        "approval_id": request.approval_id,
        "intended_at": now,
    }
