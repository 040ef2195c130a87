"""Messages about approvals: the question, how it is put to people, and the decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import AwareDatetime

from orchestrator.contracts.run import StepRecord, StepRef
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Approve, FormField

APPROVAL_SECONDS = int(timedelta(minutes=15).total_seconds())
"""How long an approval stays open unless the author says otherwise."""

QuestionSource = Literal["step", "group", "policy", "form"]
"""Who wants the approval: the step, the group around it, the policy; or a form."""


class Question(Frozen):
    """An approval as it is asked: the author's words, made stricter where the policy demands it."""

    text: str
    by: str | None = None
    quorum: int = 1
    within: int = APPROVAL_SECONDS  # seconds
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    escalated: bool = False
    level: int = 0  # how far up the escalation chain
    replaces: str | None = None  # the approval that is void because its change is another by now

    def summary(self, source: QuestionSource) -> dict[str, Any]:
        """Return what a dry run reports: who would be asked, and who wants that."""
        return {
            "source": source,
            "question": self.text,
            "by": self.by,
            "quorum": self.quorum,
            "within": self.within,
            "otherwise": self.otherwise,
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_author(cls, approve: Approve, text: str) -> Self:
        """Return the question that a playbook asks."""
        return cls(
            text=text,
            by=approve.by,
            quorum=approve.quorum,
            within=approve.within,
            otherwise=approve.otherwise,
            escalate_to=approve.escalate_to,
        )

    @classmethod
    def from_policy(cls, change: Change, verdict: PolicyVerdict) -> Self:
        """Return the question that the policy alone demands."""
        return cls(
            text=f"{change.summary}?", by=verdict.by, quorum=verdict.quorum, reasons=verdict.reasons
        )

    def stricter(self, verdict: PolicyVerdict) -> Self:
        """Return the question with the policy's group and quorum, where it asks for approval too.

        Where the policy names a group, only that group may answer: a playbook cannot pass its
        question on to people of its own choice.
        """
        if verdict.outcome is not Verdict.ASK:
            return self
        update: dict[str, Any] = {
            "quorum": max(self.quorum, verdict.quorum),
            "reasons": tuple(dict.fromkeys((*self.reasons, *verdict.reasons))),
        }
        if verdict.by is not None:
            update |= {"by": verdict.by, "otherwise": "stop", "escalate_to": ()}
        return self.model_copy(update=update)

    def escalate(self) -> Self:
        """Return the question for the next group of the chain; the last group ends the chain."""
        group, *rest = self.escalate_to
        update = {
            "by": group,
            "otherwise": "escalate" if rest else "stop",
            "escalate_to": tuple(rest),
            "escalated": True,
            "level": self.level + 1,
        }
        return self.model_copy(update=update)

    def replacing(self, approval_id: str | None) -> Self:
        """Return the question, asked again because that approval does not hold any more."""
        return self.model_copy(update={"replaces": approval_id})


class AskRequest(Frozen):
    """Ask people to approve changes, or to fill in a form."""

    ref: StepRef
    kind: Literal["change", "form"]
    question: str
    changes: tuple[Change, ...] = ()
    form: dict[str, FormField] | None = None
    by: str | None = None
    quorum: int = 1
    within: int  # seconds
    reasons: tuple[str, ...] = ()
    escalated: bool = False
    level: int = 0
    replaces: str | None = None  # an approval that does not hold any more
    begun: tuple[StepRecord, ...] = ()  # steps that began and are recorded with the approval


class AskReply(Frozen):
    """The approval that was opened."""

    approval_id: str
    digest: str
    expires_at: AwareDatetime


class Decision(Frozen):
    """The decision in the store. An update that brings one to a workflow only triggers a lookup."""

    approval_id: str
    state: Literal["approved", "declined", "expired"]
    approved_changes: tuple[str, ...] = ()  # digests
    form: dict[str, Any] | None = None
    by: tuple[str, ...] = ()
    comment: str = ""


class DecisionReply(Frozen):
    """The decision of an approval. None: it is still open."""

    decision: Decision | None = None


class BeginReply(Frozen):
    """The run may begin. With a question: only after people approve that."""

    question: Question | None = None
