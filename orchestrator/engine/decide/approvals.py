"""Approvals that a run asks for: of one change, of a group of changes, of a form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from orchestrator.contracts.approval import AskedChange, Decision, Question
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import StepRef
from orchestrator.domain.change import PolicyVerdict, Verdict
from orchestrator.engine.decide.foreseen_changes import ForeseenChange
from orchestrator.engine.decide.port import ApprovalPort, Planner
from orchestrator.engine.decide.scope import (
    Declined,
    GroupApproval,
    Refused,
    StepFailed,
    StepScope,
)
from orchestrator.engine.decide.timeouts import pause_all
from orchestrator.playbook.plan import Ask, Use

MAX_CHANGES = 200
"""Changes in one approval; more than people can read, and more than one message can hold."""
MAX_PLANS_AT_ONCE = 10


class ForeseenCall(NamedTuple):
    """A call of a foreseen change, and the seconds of its lease."""

    step: Use
    call: StepCall
    hold: int | None


class GroupPort(Planner, ApprovalPort, Protocol):
    """What a group approval needs: plans, and people."""


async def ask_people(
    port: ApprovalPort,
    ref: StepRef,
    scope: StepScope,
    question: Question,
    changes: Sequence[AskedChange],
) -> Decision:
    """Return an approval, escalating where the author wants that.

    Raise Declined; ExpressionError for a question that cannot be put into words.
    """
    question = question.about(changes)
    with pause_all(scope.timeouts):
        decision = await port.ask_change(ref, question, changes)
    match decision.state:
        case "approved":
            return decision
        case "declined":
            comment = f": {decision.comment}" if decision.comment else ""
            raise Declined(f"declined by {_names(decision)}{comment}")
        case "expired":
            if question.otherwise == "escalate":
                return await ask_people(port, ref, scope, question.escalate(), changes)
            raise Declined("no one decided in time")


async def ask_for_form(port: ApprovalPort, ref: StepRef, step: Ask, question: Question) -> Any:
    """Return the filled-in form; None where the author continues without. Raise Declined."""
    decision = await port.ask_form(ref, question, step)
    if decision.state == "approved":
        return {name: (decision.form or {}).get(name) for name in step.form}
    if step.otherwise == "continue":
        return None
    expired = decision.state == "expired"
    raise Declined("no one answered in time" if expired else f"declined by {_names(decision)}")


async def ask_for_group(
    port: GroupPort,
    ref: StepRef,
    scope: StepScope,
    question: Question,
    foreseen: Iterable[ForeseenChange],
    call_of: Callable[[Use, StepScope], ForeseenCall | None],
) -> GroupApproval:
    """Plan the foreseen changes and ask once about all that would change anything.

    Raise Refused, Declined, StepFailed (too many changes), ActionError.
    """
    calls = [call for use, inner in foreseen if (call := call_of(use, inner)) is not None]
    if len(calls) > MAX_CHANGES:
        raise StepFailed(
            ref.path,
            f"one approval would cover {len(calls)} changes, more than {MAX_CHANGES}; "
            "approve smaller groups",
        )
    plans = await _plan_all(port, calls)
    for planned in plans:
        refuse_denied(planned.verdict)  # do not ask about what the policy denies
    due: dict[str, AskedChange] = {}
    for planned in plans:
        if planned.change.changed:
            due.setdefault(planned.change.digest, planned)
    if not due:
        return GroupApproval(question, {})
    for planned in due.values():
        question = question.stricter(planned.verdict)
    decision = await ask_people(port, ref, scope, question, list(due.values()))
    approved = dict.fromkeys(decision.approved_changes, decision.approval_id)
    holds = {digest: planned.hold_seconds for digest, planned in due.items()}
    return GroupApproval(question, approved, frozenset(due) - approved.keys(), holds)


def refuse_denied(verdict: PolicyVerdict) -> None:
    """Raise Refused for a change that the policy denies."""
    if verdict.outcome is Verdict.DENY:
        raise Refused("; ".join(verdict.reasons))


async def _plan_all(port: Planner, calls: Sequence[ForeseenCall]) -> list[AskedChange]:
    gate = asyncio.Semaphore(MAX_PLANS_AT_ONCE)

    async def plan(foreseen: ForeseenCall) -> AskedChange:
        use, call, hold = foreseen
        async with gate:
            planned = await port.plan(use, call, lease=False, hold=hold)
        return AskedChange(change=planned.change, hold_seconds=hold, verdict=planned.verdict)

    replies = await asyncio.gather(*map(plan, calls), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return [reply for reply in replies if not isinstance(reply, BaseException)]


def _names(decision: Decision) -> str:
    return ", ".join(decision.by) or "people"
