"""The change pipeline: plan, evaluate, approve, record and apply, verify, hold."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from orchestrator.contracts.approval import AskedChange, Question, QuestionSource
from orchestrator.contracts.change import ApplyReply, PlanReply, StepCall
from orchestrator.domain.change import RESULT_FIELDS, Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.errors import ActionError, Rejected, TocsinError, Unavailable, Unknown
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.approvals import ask_people, refuse_denied
from orchestrator.engine.decide.port import DryRunPort, LivePort
from orchestrator.engine.decide.scope import (
    Declined,
    NotSelected,
    NotVerified,
    Refused,
    StepScope,
)
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.playbook.language.evaluate import ExpressionError, evaluate
from orchestrator.playbook.plan import Use

MAX_APPROVALS = 3
MAX_LOOKS = 3
MAX_PLANS = 5
"""Plans of one change that were outdated when they were applied."""
LONGEST_PAUSE = 15
"""Seconds between two looks at whether another run has applied the same."""

_NOTHING_CHANGED = (Refused, Declined, NotSelected, Rejected)
"""Errors after which the change is certainly not in the world."""


@dataclass(slots=True)
class ChangePipeline:
    """The way of one change into the world. Nothing is changed in any other way."""

    port: LivePort
    step: Use
    call: StepCall
    scope: StepScope
    question: Question | None  # of the step itself, or else of the group around it
    hold: int | None  # seconds

    # Digest of a change -> the approval that covers it; an approval is void for any other digest.
    _approved: dict[str, str] = field(default_factory=dict, init=False)
    _left_out: frozenset[str] = field(default=frozenset(), init=False)
    _demand: PolicyVerdict | None = field(default=None, init=False)  # by the policy at apply
    _own_approval: str | None = field(default=None, init=False)  # newest of this change alone
    _times_asked: int = field(default=0, init=False)
    _attempted: Change | None = field(default=None, init=False)  # it may be in the world
    _outdated: int = field(default=0, init=False)
    _may_hold: bool = field(default=False, init=False)  # a lease may be registered

    def __post_init__(self) -> None:
        """Take over the approval of the group around the step."""
        if self.question is None and (group := self.scope.approval) is not None:
            self.question, self._left_out = group.question, group.declined
            self._approved = group.covers(self.hold)

    async def run(self) -> dict[str, Any]:
        """Return the step's result. Raise Refused, Declined, NotSelected, ActionError."""
        try:
            change, output = await self._plan_until_applied()
            failure = await self._verify(change, output)
        except TocsinError as error:
            await self._settle_lease(nothing_changed=isinstance(error, _NOTHING_CHANGED))
            raise
        except asyncio.CancelledError:  # the step's timeout, or the run's cancellation
            if self._attempted is not None or self._may_hold:
                await self._settle_lease(nothing_changed=self._attempted is None)
            raise
        # Even if verification failed: the change may still take effect, and a lease without
        # an end would block other runs.
        await self._start_lease()
        if failure is not None:
            raise failure
        return _result(change, output)

    async def _plan_until_applied(self) -> tuple[Change, dict[str, Any]]:
        """Plan, evaluate, approve, record and apply; again after each approval."""
        while True:
            planned = await self._plan()
            refuse_denied(planned.verdict)
            if not await self._approve(planned):
                continue  # people were asked: the device may have changed in the meantime
            change = planned.change
            if not change.changed and self.step.effect is not Effect.NOTIFY:
                await self._note_unchanged(change)
                return change, {}
            if (output := await self._apply(change)) is not None:
                return change, output

    async def _plan(self) -> PlanReply:
        lease = self.question is None or bool(self._approved)
        planned = await self._plan_with(lease=lease)
        if not lease and not planned.change.changed:
            # Nothing to ask about: in the desired state already, and from now on held.
            return await self._plan_with(lease=True)
        return planned

    async def _plan_with(self, *, lease: bool) -> PlanReply:
        self._may_hold = self._may_hold or lease
        asks = self.question is not None or self._demand is not None or bool(self._approved)
        approved = self._approved.keys() if asks else None
        pause = 1
        while True:
            planned = await self.port.plan(
                self.step, self.call, lease=lease, hold=self.hold, approved=approved
            )
            if planned.busy is None:
                return planned
            await self.port.sleep(pause)  # as long as the step has time
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _approve(self, planned: PlanReply) -> bool:
        """Return whether an approval covers exactly this change, or none is needed; ask if not."""
        change, digest = planned.change, planned.change.digest
        if not self._needs_approval(planned) or digest in self._approved:
            return True
        if digest in self._left_out:
            raise NotSelected("the approvers left this change out")
        if self._times_asked == MAX_APPROVALS:
            raise Rejected(
                f"{MAX_APPROVALS} approvals did not suffice: "
                "each time, the change or the policy had changed by then"
            )
        self._times_asked += 1
        question = self._question_for(planned)
        asked = AskedChange(change=change, hold_seconds=self.hold, verdict=planned.verdict)
        decision = await ask_people(self.port, self.call.ref, self.scope, question, [asked])
        self._own_approval = decision.approval_id
        if digest not in decision.approved_changes:
            raise NotSelected("this change was not among those that were approved")
        self._approved = {digest: decision.approval_id}
        return False

    def _needs_approval(self, planned: PlanReply) -> bool:
        wanted = (
            self.question is not None
            or self._demand is not None
            or planned.verdict.outcome is Verdict.ASK
        )
        return planned.change.changed and wanted

    def _question_for(self, planned: PlanReply) -> Question:
        verdict = self._demand or planned.verdict
        question = self.question or Question.from_policy(verdict)
        question = question.stricter(planned.verdict)
        if self._demand is not None:
            question = question.stricter(self._demand)
        return question.replacing(self._own_approval)

    async def _apply(self, change: Change) -> dict[str, Any] | None:
        """Record the intent and apply. None: plan again, as the policy or the holders changed.

        After a lost reply, look first and only then apply again. Raise Refused, ActionError.
        """
        looks, pause = 0, 1
        approval_id = self._approved.get(change.digest)
        while True:
            self._attempted = change
            try:
                reply = await self.port.apply(self.step, self.call, change, approval_id)
            except (Unavailable, Unknown) as lost:
                if await self._is_applied(change):
                    return {}
                looks += 1
                if isinstance(lost, Unavailable) or looks > MAX_LOOKS:
                    raise
                continue
            match reply.outcome:
                case "applied":
                    return reply.output
                case "refused":
                    raise Refused(reply.detail or "; ".join(reply.verdict.reasons))
                case "busy":
                    self._attempted = None if looks == 0 else change  # refused before its intent
                    await self.port.sleep(pause)  # as long as the step has time
                    pause = min(2 * pause, LONGEST_PAUSE)
                case "outdated" | "needs_approval":
                    await self._prepare_next_plan(reply, change)
                    return None

    async def _prepare_next_plan(self, reply: ApplyReply, change: Change) -> None:
        """Prepare for another plan of a change that was refused before its intent."""
        self._attempted = None
        if reply.outcome == "outdated":
            self._outdated += 1
            if self._outdated == MAX_PLANS:
                raise Rejected(f"others contain the target again and again: {reply.detail}")
            return
        self._approved.pop(change.digest, None)
        self._demand = reply.verdict.model_copy(update={"outcome": Verdict.ASK})
        await self._settle_lease(nothing_changed=True)  # nothing is held for a maybe

    async def _is_applied(self, change: Change) -> bool:
        """Read back. An action with an answer of its own, such as a ticket's key, is called again.

        Its idempotency key makes that the same call.
        """
        now = (await self._plan_with(lease=True)).change
        if now.holders and not now.changes_system:
            return False  # restored on the system; the leases end when it is applied again
        if now.changed and now.digest != change.digest:
            raise ActionError(
                "the reply was lost and the device has changed since; a person must check it"
            )
        return not now.changed and self.step.effect is not Effect.NOTIFY

    async def _verify(self, change: Change, output: dict[str, Any]) -> TocsinError | None:
        """Return why the change is not verified, or None."""
        if not change.changed:
            return None
        try:
            if await self.port.verify(self.step, self.call, change, output):
                return None
        except TocsinError as error:
            return error
        return NotVerified(
            "verification failed: the device does not show the change that it reported as applied"
        )

    async def _start_lease(self) -> None:
        if self.hold is not None:
            await self.port.hold(self.call.ref, self.hold)

    async def _settle_lease(self, *, nothing_changed: bool) -> None:
        """End the lease if nothing was changed; start its timer if something may have been.

        Otherwise it would block other runs indefinitely.
        """
        cause = LeaseEndReason.NOT_APPLIED
        with suppress(TocsinError):  # the end of the run ends the lease too
            if nothing_changed and self.step.effect in {Effect.CONTAIN, Effect.RESTORE}:
                await self.port.undo([self.call.ref.path], cause, cause.describe("system"))
            elif not nothing_changed and self._attempted is not None:
                await self._start_lease()

    async def _note_unchanged(self, change: Change) -> None:
        result = _result(change, {})
        await self.port.note(self.call.ref, self.step.kind, StepState.DONE, result=result)


def hold_of(step: Use, scope: StepScope) -> int | None:
    """Return the seconds of a step's lease. Raise ExpressionError, Invalid."""
    return None if step.hold is None else parse_duration(evaluate(step.hold, scope.variables()))


async def dry_run_change(
    port: DryRunPort,
    step: Use,
    call: StepCall,
    scope: StepScope,
    question: Question | None,
    hold: int | None,
) -> dict[str, Any]:
    """Plan and evaluate, and record who would be asked. A denied change does not end the run."""
    planned = await port.plan(step, call, lease=False, hold=hold)
    asked = question or (scope.approval.question if scope.approval else None)
    source: QuestionSource = "step" if question else "group" if asked else "policy"
    if asked is None and planned.verdict.outcome is Verdict.ASK:
        asked = Question.from_policy(planned.verdict)
    # The policy's denial comes before any question.
    if asked is not None and planned.verdict.outcome is not Verdict.DENY:
        change = AskedChange(change=planned.change, hold_seconds=hold, verdict=planned.verdict)
        summary = _worded(asked.stricter(planned.verdict), change).summary(source)
        await port.note(call.ref, step.kind, StepState.PLANNED, asked=summary)
    return _result(planned.change, {})


def _worded(question: Question, change: AskedChange) -> Question:
    """Return the question about a change of a dry run, which goes on if it has no words."""
    try:
        return question.about([change])
    except ExpressionError as error:
        return question.model_copy(update={"text": f"a dry run cannot tell: {error}"})


def _result(change: Change, output: dict[str, Any]) -> dict[str, Any]:
    """Return what later steps see: the output, and the fields that every planned change has."""
    return {**output, **{name: change.planned_change[name] for name in RESULT_FIELDS}}
