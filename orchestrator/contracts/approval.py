"""Messages about approvals: the question, how it is put to people, and the decision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import AwareDatetime

from orchestrator.contracts.run import StepRecord, StepRef
from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.playbook.language.durations import format_duration
from orchestrator.playbook.language.evaluate import evaluate_text
from orchestrator.playbook.plan import Approve, FormField

APPROVAL_SECONDS = int(timedelta(minutes=15).total_seconds())
"""How long an approval stays open unless the author says otherwise."""

DEFAULT_QUESTION = "${{ changes }}?"
"""The question where the author writes none, and where the policy alone asks."""
_WHOLE_CHANGES = re.compile(r"(?<!\$)\$\{\{\s*changes\s*\}\}")
_WORDED_CHANGES = 4
"""The most changes that a phrase names; the planned changes list all."""

QuestionSource = Literal["step", "group", "policy", "form"]
"""Who wants the approval: the step, the group around it, the policy; or a form."""


class EvidenceRow(Frozen):
    """A row of the table that people see with a question."""

    label: str
    value: Any


class AskedChange(Frozen):
    """A change that people are asked about, with its lease and the policy's verdict."""

    change: Change
    hold_seconds: int | None = None  # None: without an end, or nothing is held
    verdict: PolicyVerdict

    @property
    def lease(self) -> str | None:
        """How long the change lasts, for people; None: not limited by a lease."""
        if self.hold_seconds is not None:
            return f"for {format_duration(self.hold_seconds)}"
        return "without an end" if self.change.effect is Effect.CONTAIN else None


class Wording(Frozen):
    """The author's question before the planned changes are known, and what it looks up."""

    template: str
    names: dict[str, Any]

    def text(self, changes: Sequence[AskedChange]) -> str:
        """Return the question about these changes. Raise ExpressionError."""
        views = [
            {
                "summary": each.change.summary,
                "action": each.change.action,
                "connection": each.change.connection,
                "effect": each.change.effect.value,
                "target": each.change.target.value,
                "target_type": each.change.target.type.value,
                "lease": each.lease,
            }
            for each in changes
        ]
        template = _WHOLE_CHANGES.sub("${{ changes_in_words }}", self.template)
        words = {"changes": views, "changes_in_words": changes_in_words(changes)}
        return evaluate_text(template, {**self.names, **words})


def changes_in_words(changes: Sequence[AskedChange]) -> str:
    """Return the changes as a phrase: `Isolate ws-7 and block 198.51.100.7 for 24h`."""
    shown, more = changes[:_WORDED_CHANGES], len(changes) - _WORDED_CHANGES
    leases = {each.lease for each in changes}
    shared = leases.pop() if len(leases) == 1 else None
    words = [
        " ".join(filter(None, (each.change.summary, None if shared else each.lease)))
        for each in shown
    ]
    words = [word if place == 0 else _inside(word) for place, word in enumerate(words)]
    if more > 0:
        words.append(f"make {more} more change{'s' if more > 1 else ''}")
    phrase = " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
    return " ".join(filter(None, (phrase, shared)))


def _inside(text: str) -> str:
    """Return a summary as it is written inside a sentence: only an ordinary word loses its case."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


ALWAYS = "always"
"""The condition of an approval that the playbook asks for without one."""


class Question(Frozen):
    """An approval as it is asked: the author's words, made stricter where the policy demands it."""

    text: str = ""  # empty while the planned changes are not known
    wording: Wording | None = None  # of a question that is made from the planned changes
    evidence: tuple[EvidenceRow, ...] = ()
    by_policy: bool = False  # the policy asks, not the author
    by: str | None = None
    quorum: int = 1
    within: int = APPROVAL_SECONDS  # seconds
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: tuple[str, ...] = ()
    condition: str | None = None  # when the playbook asks, in its own words; None: it does not
    reasons: tuple[str, ...] = ()  # of the policy, or of a limit
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
            "condition": self.condition,
            "reasons": list(self.reasons),
        }

    @classmethod
    def from_author(
        cls, approve: Approve, text: str | Wording, evidence: Sequence[EvidenceRow] = ()
    ) -> Self:
        """Return the question that a playbook asks."""
        return cls(
            text=text if isinstance(text, str) else "",
            wording=text if isinstance(text, Wording) else None,
            evidence=tuple(evidence),
            condition=approve.when or ALWAYS,
            by=approve.by,
            quorum=approve.quorum,
            within=approve.within,
            otherwise=approve.otherwise,
            escalate_to=approve.escalate_to,
        )

    @classmethod
    def from_policy(cls, verdict: PolicyVerdict) -> Self:
        """Return the question that the policy alone demands."""
        return cls(
            wording=Wording(template=DEFAULT_QUESTION, names={}),
            by=verdict.by,
            quorum=verdict.quorum,
            reasons=verdict.reasons,
            by_policy=True,
        )

    def about(self, changes: Sequence[AskedChange]) -> Self:
        """Return the question in the words for these changes. Raise ExpressionError."""
        if self.wording is None:
            return self
        return self.model_copy(update={"text": self.wording.text(changes)})

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
    changes: tuple[AskedChange, ...] = ()
    evidence: tuple[EvidenceRow, ...] = ()
    by_policy: bool = False
    form: dict[str, FormField] | None = None
    by: str | None = None
    quorum: int = 1
    within: int  # seconds
    condition: str | None = None
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
