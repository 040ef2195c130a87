"""Approvals that a run asks for: of one change, of a group of changes, of a form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from orchestrator.contracts.approval import Decision, Question
from orchestrator.contracts.change import PlanReply, StepCall
from orchestrator.contracts.run import StepRef
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
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


class GroupPort(Planner, ApprovalPort, Protocol):
    """What a group approval needs: plans, and people."""


async def ask_people(
    port: ApprovalPort,
    ref: StepRef,
    scope: StepScope,
    question: Question,
    changes: Sequence[Change],
) -> Decision:
    """Return an approval, escalating where the author wants that. Raise Declined."""
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


async def ask_for_form(port: ApprovalPort, ref: StepRef, step: Ask, question: str) -> Any:
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
    call_of: Callable[[Use, StepScope], StepCall | None],
) -> GroupApproval:
    """Plan the foreseen changes and ask once about all that would change anything.

    Raise Refused, Declined, StepFailed (too many changes), ActionError.
    """
    calls = [(use, call) for use, inner in foreseen if (call := call_of(use, inner)) is not None]
    if len(calls) > MAX_CHANGES:
        raise StepFailed(
            ref.path,
            f"one approval would cover {len(calls)} changes, more than {MAX_CHANGES}; "
            "approve smaller groups",
        )
    plans = await _plan_all(port, calls)
    for planned in plans:
        refuse_denied(planned.verdict)  # do not ask about what the policy denies
    due = [planned for planned in plans if planned.change.changed]
    changes = {planned.change.digest: planned.change for planned in due}
    if not changes:
        return GroupApproval(question, {})
    for planned in due:
        question = question.stricter(planned.verdict)
    decision = await ask_people(port, ref, scope, question, list(changes.values()))
    approved = dict.fromkeys(decision.approved_changes, decision.approval_id)
    return GroupApproval(question, approved, frozenset(changes) - approved.keys())


def refuse_denied(verdict: PolicyVerdict) -> None:
    """Raise Refused for a change that the policy denies."""
    if verdict.outcome is Verdict.DENY:
        raise Refused("; ".join(verdict.reasons))


async def _plan_all(port: Planner, calls: Sequence[tuple[Use, StepCall]]) -> list[PlanReply]:
    gate = asyncio.Semaphore(MAX_PLANS_AT_ONCE)

    async def plan(use: Use, call: StepCall) -> PlanReply:
        async with gate:
            return await port.plan(use, call, lease=False, hold=None)

    replies = await asyncio.gather(*(plan(*each) for each in calls), return_exceptions=True)
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return [reply for reply in replies if not isinstance(reply, BaseException)]


def _names(decision: Decision) -> str:
    return ", ".join(decision.by) or "people"
