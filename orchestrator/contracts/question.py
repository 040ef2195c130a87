"""How are people asked about changes? By the author's words, made stricter where the policy asks for more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, Self

from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Approve, Chain

APPROVAL_SECONDS = int(timedelta(minutes=15).total_seconds())


class Question(Frozen):
    """What is asked, of whom, how many have to agree, and for how many seconds the answer is waited for.

    `level`: how far up the chain it is; `replaces`: the approval that is void, as its change is another by now.
    """

    text: str
    by: str | None = None
    quorum: int = 1
    within: int = APPROVAL_SECONDS
    otherwise: Literal["stop", "escalate"] = "stop"
    escalate_to: Chain = ()
    reasons: tuple[str, ...] = ()
    escalated: bool = False
    level: int = 0
    replaces: str | None = None

    def told(self, source: Literal["step", "group", "policy", "form"]) -> dict[str, Any]:
        """What a dry run says of it: who would be asked, and who wants that."""
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
    def by_policy(cls, change: Change, verdict: PolicyVerdict) -> Self:
        """What the policy alone demands."""
        return cls(
            text=f"{change.summary}?", by=verdict.by, quorum=verdict.quorum, reasons=verdict.reasons
        )

    def stricter(self, verdict: PolicyVerdict) -> Self:
        """The same question, with the policy's group and quorum where it asks for an approval too.

        Where the policy names a group, nobody else answers: no playbook may hand its question on to people of its own choice.
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

    def higher(self) -> Self:
        """The same question, asked of the next group of the chain; with the last one the chain ends."""
        group, *rest = self.escalate_to
        otherwise = "escalate" if rest else "stop"
        update = {
            "by": group,
            "otherwise": otherwise,
            "escalate_to": tuple(rest),
            "escalated": True,
            "level": self.level + 1,
        }
        return self.model_copy(update=update)

    def instead_of(self, approval_id: str | None) -> Self:
        """The same question, asked because that approval does not hold any more."""
        return self.model_copy(update={"replaces": approval_id})
