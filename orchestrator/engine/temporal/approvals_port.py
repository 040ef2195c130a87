"""The part of the Temporal port that asks people and waits for their decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow

from orchestrator.contracts.approval import (
    AskedChange,
    AskReply,
    AskRequest,
    Decision,
    DecisionReply,
    Question,
)
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import StepRef
from orchestrator.domain.errors import Rejected
from orchestrator.engine.temporal.activity_calls import (
    STORE_RETRY,
    remote_activity,
    store_activity,
)
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.engine.temporal.step_log import TemporalStepLog
from orchestrator.playbook.plan import Ask

MAX_MESSAGE_BYTES = 1_800_000
"""Temporal refuses messages of 2 MiB."""


class TemporalApprovals(TemporalStepLog):
    """The approvals of one run. Questions and decisions are in the store; an update only wakes."""

    def __init__(
        self,
        inbox: Inbox,
        check_can_continue: Callable[[], None],
    ) -> None:
        super().__init__()
        self._inbox = inbox
        self._check_can_continue = check_can_continue

    async def ask_change(
        self, ref: StepRef, question: Question, changes: Sequence[AskedChange]
    ) -> Decision:
        """Ask for the approval of exact changes. Raise Rejected when they exceed one message."""
        request = AskRequest(
            ref=ref,
            kind="change",
            question=question.text,
            changes=tuple(changes),
            evidence=question.evidence,
            by_policy=question.by_policy,
            by=question.by,
            quorum=question.quorum,
            within=question.within,
            condition=question.condition,
            reasons=question.reasons,
            escalated=question.escalated,
            level=question.level,
            replaces=question.replaces,
        )
        return await self._ask(request)

    async def ask_form(self, ref: StepRef, question: Question, step: Ask) -> Decision:
        """Ask for a form to be filled in."""
        request = AskRequest(
            ref=ref,
            kind="form",
            question=question.text,
            evidence=question.evidence,
            form=step.form,
            by=step.by,
            within=step.within,
        )
        return await self._ask(request)

    async def _ask(self, request: AskRequest) -> Decision:
        self._check_can_continue()
        if (size := len(request.model_dump_json())) > MAX_MESSAGE_BYTES:
            raise Rejected(
                f"the approval has {size} bytes, more than {MAX_MESSAGE_BYTES}; "
                "approve smaller groups"
            )
        request = request.model_copy(update={"begun": self.take_begun()})
        with self._inbox.asking():
            asked = await remote_activity(Activity.ASK, request, AskReply, STORE_RETRY)
            self._inbox.asked.add(asked.approval_id)
        return await self._wait_for_decision(asked)

    async def _wait_for_decision(self, asked: AskReply) -> Decision:
        """Return the decision stored in the database.

        An update only triggers a lookup; its payload is never trusted.
        """
        decided, id_ = self._inbox.decided, asked.approval_id
        while True:
            # The run may have been cancelled without this task being cancelled.
            self._check_can_continue()
            left = (asked.expires_at - workflow.now()).total_seconds()
            try:
                await workflow.wait_condition(
                    lambda: id_ in decided, timeout=timedelta(seconds=max(left, 0.001))
                )
            except TimeoutError:
                return await remote_activity(Activity.CLOSE_APPROVAL, id_, Decision, STORE_RETRY)
            # Before the lookup, so that an update that arrives meanwhile triggers another.
            decided.discard(id_)
            reply = await store_activity(Activity.READ_DECISION, id_, DecisionReply)
            if reply.decision is not None:
                return reply.decision
