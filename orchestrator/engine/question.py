"""How are people asked about changes? By the author's words, made stricter where the policy asks for more."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from orchestrator.domain.judgement import Judgement, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.domain.receipt import Change
from orchestrator.playbook.plan import Approve

APPROVAL_SECONDS = int(timedelta(minutes=15).total_seconds())


class Question(Frozen):
    """What is asked, of whom, how many have to agree, and for how many seconds the answer is waited for."""

    text: str
    by: str | None = None
    quorum: int = 1
    within: int = APPROVAL_SECONDS
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: str | None = None
    reasons: tuple[str, ...] = ()
    escalated: bool = False

    @classmethod
    def of(cls, approve: Approve, text: str) -> Self:
        """What the author wrote."""
        return cls(
            text=text,
            by=approve.by,
            quorum=approve.quorum,
            within=approve.within,
            otherwise=approve.otherwise,
            escalate_to=approve.escalate_to,
        )

    @classmethod
    def by_policy(cls, change: Change, judgement: Judgement) -> Self:
        """What the policy alone demands."""
        return cls(text=f"{change.summary}?", by=judgement.by, quorum=judgement.quorum, reasons=judgement.reasons)

    def stricter(self, judgement: Judgement) -> Self:
        """The same question, with the policy's group and quorum where it asks for an approval too."""
        if judgement.verdict is not Verdict.APPROVE:
            return self
        reasons = tuple(dict.fromkeys((*self.reasons, *judgement.reasons)))
        return self.model_copy(
            update={"by": judgement.by or self.by, "quorum": max(self.quorum, judgement.quorum), "reasons": reasons},
        )

    def higher(self) -> Self:
        """The same question, further up; it goes up once."""
        return self.model_copy(update={"by": self.escalate_to, "otherwise": "stop", "escalate_to": None, "escalated": True})
