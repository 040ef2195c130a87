"""The one way by which anything is changed: plan, judge, approve, record and apply, verify, hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from orchestrator.domain.effect import Effect
from orchestrator.domain.errors import ActionError, Rejected
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.contracts import ActionCall, ApplyReply, Decision, Judgement, PlanReply, Verdict
from orchestrator.engine.port import Port
from orchestrator.engine.scope import Declined, Place, Refused
from orchestrator.playbook.plan import Approve, Use

ASKED_AT_MOST = 3
LOOKS_AT_MOST = 3
APPROVAL_SECONDS = int(timedelta(minutes=15).total_seconds())


@dataclass(frozen=True, slots=True)
class Question:
    """How people are asked about changes."""

    text: str
    by: str | None = None
    quorum: int = 1
    within: int = APPROVAL_SECONDS
    otherwise: str = "stop"
    escalate_to: str | None = None
    reasons: tuple[str, ...] = ()
    escalated: bool = False

    @classmethod
    def of(cls, approve: Approve, text: str, judgement: Judgement | None = None) -> Question:
        """What the author wrote, made stricter where the policy asks for more."""
        judged = judgement if judgement and judgement.verdict is Verdict.APPROVE else None
        return cls(
            text=text,
            by=approve.by or (judged.by if judged else None),
            quorum=max(approve.quorum, judged.quorum if judged else 1),
            within=approve.within,
            otherwise=approve.otherwise,
            escalate_to=approve.escalate_to,
            reasons=judged.reasons if judged else (),
        )

    @classmethod
    def by_policy(cls, change: Change, judgement: Judgement) -> Question:
        """What the policy alone demands."""
        return cls(text=f"{change.summary}?", by=judgement.by, quorum=judgement.quorum, reasons=judgement.reasons)


async def change(port: Port, step: Use, call: ActionCall, place: Place, question: Question | None, hold: int | None) -> dict[str, Any]:
    """Carry one change through; the step's result. Raises Refused, Declined, ActionError."""
    try:
        planned, approval_id = await _agreed(port, step, call, place, question, hold)
    except (Declined, Refused):
        if port.run.mode is Mode.LIVE:
            await port.undo(call.ref.path, "it was not agreed with")  # ends a lease that the plan registered
        raise
    if port.run.mode is Mode.DRY_RUN:
        return planned.change.receipt
    if not planned.change.changed and step.effect is not Effect.NOTIFY:
        await port.note(call.ref, "use", StepState.DONE, result=planned.change.receipt)
        output: dict[str, Any] = {}
    else:
        output, planned = await _made(port, step, call, planned, approval_id, hold)
        if planned.change.changed and not await port.verify(step, call, planned.change, output):
            raise Rejected("failed verification: the device does not show the change that it reported as made")
    if hold is not None:
        await port.hold(call.ref, planned.change.containment_key, hold)
    return {**planned.change.receipt, **output}


async def ask(port: Port, call_ref: Any, question: Question, changes: Sequence[Change]) -> Decision:
    """Ask, and once more further up where the author wants that. Raises Declined."""
    decision = await port.ask_change(call_ref, question.text, changes, question)
    if decision.state == "expired" and question.otherwise == "escalate" and not question.escalated:
        higher = Question(
            text=question.text,
            by=question.escalate_to,
            quorum=question.quorum,
            within=question.within,
            reasons=question.reasons,
            escalated=True,
        )
        return await ask(port, call_ref, higher, changes)
    if decision.state == "expired":
        raise Declined("nobody decided in time")
    if decision.state == "declined":
        raise Declined(f"declined by {', '.join(decision.by) or 'people'}" + (f": {decision.comment}" if decision.comment else ""))
    return decision


async def _agreed(
    port: Port, step: Use, call: ActionCall, place: Place, question: Question | None, hold: int | None
) -> tuple[PlanReply, str | None]:
    """The plan to carry out, leased, and the approval that covers exactly it. Asked again when the change is another one by then."""
    covered: dict[str, str] = dict(place.approved or {})
    live = port.run.mode is Mode.LIVE
    leased = live and question is None
    for _ in range(ASKED_AT_MOST + 1):
        lease = leased or (live and bool(covered))
        planned = await port.plan(step, call, lease=lease, hold=hold)
        if live and not lease and not planned.change.changed:
            planned = await port.plan(step, call, lease=True, hold=hold)  # nothing to ask about, but ours to hold from now on
        not_denied(planned.judgement)
        digest = planned.change.digest
        if digest in place.declined:
            raise Declined("it was left out by those who approved the rest")
        if not live or (digest in covered) or not planned.change.changed:
            return planned, covered.get(digest)
        due = _due(planned, question, covered=bool(place.approved))
        if due is None:
            return planned, None
        decision = await ask(port, call.ref, due, [planned.change])
        if digest not in decision.approved_changes:
            raise Declined("it was not among the changes that were approved")
        covered = {digest: decision.approval_id}
    raise Declined(f"what would be done changed after each of {ASKED_AT_MOST} approvals")


def _due(planned: PlanReply, question: Question | None, *, covered: bool) -> Question | None:
    if question is not None:
        return question
    if covered or planned.judgement.verdict is Verdict.APPROVE:  # a group's approval is void for a change that was not shown
        return Question.by_policy(planned.change, planned.judgement)
    return None


def not_denied(judgement: Judgement) -> None:
    """Raises Refused."""
    if judgement.verdict is Verdict.DENY:
        raise Refused("; ".join(judgement.reasons))


async def _made(
    port: Port, step: Use, call: ActionCall, planned: PlanReply, approval_id: str | None, hold: int | None
) -> tuple[dict[str, Any], PlanReply]:
    """Apply; after a lost reply look first, and only then again. Raises Refused, Declined, ActionError."""
    looks = 0
    while True:
        reply = await port.apply(step, call, planned.change, approval_id)
        match reply.outcome:
            case "applied":
                return reply.output, planned
            case "refused":
                raise Refused(reply.detail or "; ".join(reply.judgement.reasons))
            case "needs_approval":
                question = Question.by_policy(planned.change, reply.judgement)
                decision = await ask(port, call.ref, question, [planned.change])
                approval_id = decision.approval_id
            case "unknown":
                looks += 1
                if looks > LOOKS_AT_MOST:
                    raise ActionError(f"the reply was lost {looks} times: {reply.detail}")
                seen = await port.plan(step, call, lease=port.run.mode is Mode.LIVE, hold=hold)
                if seen.change.changed and seen.change.digest != planned.change.digest:
                    raise ActionError("the reply was lost, and the device has changed since: it needs a person to look")
                if not seen.change.changed:
                    return _found(seen, reply), planned


def _found(seen: PlanReply, reply: ApplyReply) -> dict[str, Any]:
    own = {"target", "changed", "summary"}
    return reply.output or {
        key: value for key, value in seen.change.receipt.items() if key in {"key", "url", "id", "channel"} and key not in own
    }
