"""The activity `apply`: judge at this moment, record the intent, then carry out exactly the change that was planned and agreed with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.approvals.coverage import lack_of_agreement
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.connections import open_connection_for
from orchestrator.contracts.messages import (
    Activity,
    ApplyReply,
    ApplyRequest,
    PolicyVerdict,
    Verdict,
)
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Halted, Rejected, Unavailable, Unknown
from orchestrator.domain.masking import masked
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.activities.evaluate import evaluate_change
from orchestrator.engine.activities.step_records import (
    change_told,
    looked_at,
    save_step,
    step_event,
    stored_verdict,
)
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.policy.evaluate import COUNTED
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, effects, steps
from orchestrator.store.tables import ContainmentRow, EffectRow

ANOTHER_WAIT = timedelta(seconds=1)
ANOTHER_PATIENCE = timedelta(minutes=2)
"""How long another run's unfinished call to the same target is waited for; after that its worker is taken for dead."""


@dataclass(frozen=True, slots=True)
class _Go:
    """The call is to be made: the intent is written (when anything changes). `again`: an earlier call may have made it already."""

    verdict: PolicyVerdict
    again: bool = False


class Applying:
    """Two transactions around the vendor's call. Carried out again after a crash, it finds its intent and repeats the same call."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.APPLY)
    async def apply(self, request: ApplyRequest) -> ApplyReply:
        """Carries out a change. Raises Unavailable (try again), Rejected, Unknown (the reply was lost: look)."""
        with told_to_workflow():
            _check(request)
            started = self._rt.clock()
            async with self._rt.store.write() as session:
                decided = await self._decide(session, request, started)
            # The intent is committed: from here on a crash can be undone.
            return (
                await self._carry_out(request, decided, started)
                if isinstance(decided, _Go)
                else decided
            )

    async def _decide(
        self, session: AsyncSession, request: ApplyRequest, now: datetime
    ) -> ApplyReply | _Go:
        change, run = request.change, request.call.ref.run
        earlier = await effects.get(session, _id(request))
        if (
            earlier
            and earlier.change_digest == change.digest
            and earlier.state in {"applied", "verified"}
        ):
            return ApplyReply(
                outcome="applied",
                verdict=await _evaluated_before(session, request),
                output=earlier.output or {},
            )
        if change.effect in COUNTED:
            await self._rt.store.serialize_limits(session)
        verdict = await evaluate_change(session, change, run, now, to_apply=True)
        if verdict.outcome is Verdict.DENY:
            return await _refuse(
                session, request, verdict, now, "refused", "; ".join(verdict.reasons)
            )
        if request.approval_id or verdict.outcome is Verdict.ASK:
            under = (
                earlier.approval_id
                if earlier
                and earlier.change_digest == change.digest
                and earlier.state == "intended"
                else None
            )
            if lack := await lack_of_agreement(session, request, verdict, intended_under=under):
                return await _refuse(session, request, verdict, now, "needs_approval", lack)
        if not change.changed:
            return _Go(verdict)
        again = earlier is not None and earlier.state == "intended"
        return await self._intend(session, request, verdict, now, again=again)

    async def _intend(
        self,
        session: AsyncSession,
        request: ApplyRequest,
        verdict: PolicyVerdict,
        now: datetime,
        *,
        again: bool,
    ) -> ApplyReply | _Go:
        change, ref = request.change, request.call.ref
        lease = await containments.lease(session, containments.lease_id(ref.run.run_id, ref.path))
        if lease is not None:
            held = await containments.lock(session, lease.containment_key)
            lease = await containments.lease(
                session, lease.id
            )  # again, now that nobody else changes it
            if held is None or lease is None or lease.state != "live":
                return await _refuse(
                    session,
                    request,
                    verdict,
                    now,
                    "refused",
                    "it was released before it was applied",
                )
            if shared := await _shared(session, request, held, now):
                return await _share(session, request, verdict, shared, now)
            held.ours, held.effect_id = (
                True,
                _id(request),
            )  # may be in force from now on, whatever we hear
        await effects.intend(session, _row(request, now))
        told = {
            **change_told(change),
            "effect": _id(request),
            "approval": request.approval_id,
            "verdict": verdict.model_dump(mode="json"),
        }
        await trail.record_all(
            session, [step_event(ref, EventKind.STEP_INTENDED, told, now, change.digest)]
        )
        kept = stored_verdict(verdict, now)
        await save_step(
            session,
            request.call,
            StepState.INTENDED,
            now,
            now,
            planned_change=masked(change.planned_change),
            verdict=kept,
        )
        return _Go(verdict, again)

    async def _carry_out(self, request: ApplyRequest, go: _Go, started: datetime) -> ApplyReply:
        call, change = request.call, request.change
        try:
            connector = await open_connection_for(
                self._rt, change.connection, Access.WRITE if change.changed else Access.READ
            )
            output = await connector.apply(
                change.action, change.planned_change, call_for(call.ref, change.action)
            )
        except Rejected as error:
            if go.again:  # the refusal says nothing of the call before it: it stays ours until somebody has looked
                raise Unknown(str(error)) from error
            await self._failed(request, str(error), started)
            raise
        await self._applied(request, output, started)
        return ApplyReply(outcome="applied", verdict=go.verdict, output=output)

    async def _applied(
        self, request: ApplyRequest, output: dict[str, Any], started: datetime
    ) -> None:
        now, change = self._rt.clock(), request.change
        told = {
            "effect": _id(request),
            "change_digest": change.digest,
            "target": str(change.target),
            "output": output,
        }
        async with self._rt.store.write() as session:
            if change.changed:
                await effects.end(session, _id(request), "applied", now, output)
            kind, state = (
                (EventKind.STEP_APPLIED, StepState.APPLIED)
                if change.changed
                else (EventKind.STEP_DONE, StepState.DONE)
            )
            await save_step(
                session,
                request.call,
                state,
                started,
                now,
                planned_change=masked(change.planned_change),
                result=masked(output),
            )
            await trail.record_all(
                session, [step_event(request.call.ref, kind, told, now, change.digest)]
            )

    async def _failed(self, request: ApplyRequest, error: str, started: datetime) -> None:
        now, ref = self._rt.clock(), request.call.ref
        async with self._rt.store.write() as session:
            held = await containments.lock(session, request.change.containment_key)
            if held is not None and held.effect_id == _id(request):
                held.ours, held.effect_id = False, None
            if request.change.changed:
                await effects.end(session, _id(request), "failed", now)
            await save_step(session, request.call, StepState.FAILED, started, now, error=error)
            told = {"effect": _id(request), "change_digest": request.change.digest, "error": error}
            await trail.record_all(
                session,
                [step_event(ref, EventKind.STEP_FAILED, told, now, request.change.digest, started)],
            )


def _check(request: ApplyRequest) -> None:
    if request.call.ref.run.mode is not Mode.LIVE:
        raise Halted("a dry run applies nothing")
    call, change = request.call, request.change
    if (call.connection, call.action, call.effect, call.input) != (
        change.connection,
        change.action,
        change.effect,
        change.input,
    ):
        raise Rejected(
            f"step {call.ref.path}: the change to apply is not the one that was planned for it"
        )


async def _shared(
    session: AsyncSession, request: ApplyRequest, held: ContainmentRow, now: datetime
) -> EffectRow | None:
    """Another run's effect that has brought about the same since we looked. Raises Unavailable while it is still at it."""
    other = (
        await effects.get(session, held.effect_id)
        if held.ours and held.effect_id and held.effect_id != _id(request)
        else None
    )
    if other is None or other.run_id == request.call.ref.run.run_id:
        return None
    if other.state == "intended" and other.intended_at > now - ANOTHER_PATIENCE:
        raise Unavailable(
            f"run {other.run_id} is just now doing the same to {request.change.target}",
            ANOTHER_WAIT,
        )
    step = await steps.get(session, request.call.ref.run.run_id, request.call.ref.path)
    looked = looked_at(step) if step else now
    in_force = other.state in {"applied", "verified"} and other.ended_at is not None
    return other if in_force and other.ended_at is not None and other.ended_at >= looked else None


async def _share(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    other: EffectRow,
    now: datetime,
) -> ApplyReply:
    told = {
        "effect": other.id,
        "shared": True,
        "change_digest": request.change.digest,
        "target": str(request.change.target),
    }
    await save_step(
        session, request.call, StepState.APPLIED, now, now, result=masked(other.output or {})
    )
    await trail.record_all(
        session,
        [step_event(request.call.ref, EventKind.STEP_DONE, told, now, request.change.digest)],
    )
    return ApplyReply(
        outcome="applied",
        verdict=verdict,
        output=other.output or {},
        detail=f"run {other.run_id} has done it",
    )


async def _refuse(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    now: datetime,
    outcome: Literal["refused", "needs_approval"],
    detail: str,
) -> ApplyReply:
    """Said in the trail too: why a planned change was not made."""
    told = {
        "change_digest": request.change.digest,
        "target": str(request.change.target),
        "verdict": verdict.model_dump(mode="json"),
        "outcome": outcome,
        "detail": detail,
    }
    await trail.record_all(
        session,
        [
            step_event(
                request.call.ref,
                EventKind.STEP_EVALUATED,
                told,
                now,
                request.change.digest,
                outcome,
                now,
            )
        ],
    )
    if outcome == "refused":
        await save_step(
            session, request.call, StepState.REFUSED, now, now, verdict=verdict, error=detail
        )
    return ApplyReply(outcome=outcome, verdict=verdict, detail=detail)


async def _evaluated_before(session: AsyncSession, request: ApplyRequest) -> PolicyVerdict:
    step = await steps.get(session, request.call.ref.run.run_id, request.call.ref.path)
    if step is not None and step.verdict is not None:
        return PolicyVerdict.model_validate(
            {
                name: value
                for name, value in step.verdict.items()
                if name in PolicyVerdict.model_fields
            }
        )
    return PolicyVerdict(
        outcome=Verdict.ALLOW,
        reasons=("it was applied before",),
        policy_version=0,
        policy_digest="",
    )


def _id(request: ApplyRequest) -> str:
    ref = request.call.ref
    return effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)


def _row(request: ApplyRequest, now: datetime) -> dict[str, Any]:
    change, ref = request.change, request.call.ref
    target = change.target
    return {
        "id": _id(request),
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
        "containment_key": change.containment_key,
        "change": change.model_dump(mode="json"),
        "change_digest": change.digest,
        "state": "intended",
        "approval_id": request.approval_id,
        "intended_at": now,
    }
