"""Approvals: their states and transitions, what a decision binds, and who counts as one person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Conflict

_MAX_DOUBLINGS = 16
_GATHER = timedelta(minutes=1)
BATCH_PREFIX = "bat_"
"""What the ids of batches begin with."""


class ApprovalKind(StrEnum):
    """What an approval asks for."""

    CHANGE = "change"  # consent to exact changes, or to the start of a run
    FORM = "form"  # values that the playbook continues with


class DecisionType(StrEnum):
    """What one person decides."""

    APPROVE = "approve"
    DECLINE = "decline"


class DecisionChannel(StrEnum):
    """The way by which a decision arrived."""

    API = "api"
    EMAIL = "email"
    SLACK = "slack"


class ReviewState(StrEnum):
    """The review that follows a break-glass approval."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    OBJECTED = "objected"


class ApprovalState(StrEnum):
    """The life of an approval. A transition that the state does not allow raises Conflict."""

    PENDING = "pending"
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"  # an approver withdrew, or the run ended before a decision
    VOID = "void"  # replaced by another approval, because the change or the policy differs

    def decide(self, decision: DecisionType, *, approvals: int, quorum: int) -> ApprovalState:
        """Return the state after a decision: one decline ends it, `approvals` reach the quorum."""
        if decision == DecisionType.DECLINE:
            return self._to(ApprovalState.DECLINED)
        decided = self._to(ApprovalState.APPROVED)
        return decided if approvals >= quorum else self

    def break_glass(self) -> ApprovalState:
        """Return the state after an admin approved alone."""
        return self._to(ApprovalState.APPROVED)

    def expire(self) -> ApprovalState:
        """Return the state after the time limit passed without a decision."""
        return self._to(ApprovalState.EXPIRED)

    def end_with_run(self) -> ApprovalState:
        """Return the state after the run ended while the approval was pending."""
        if self is not ApprovalState.PENDING:
            raise Conflict(f"the approval is already {self}")
        return ApprovalState.WITHDRAWN

    def withdraw(self) -> ApprovalState:
        """Return the state after an approver withdrew; a pending approval stays pending."""
        return self if self is ApprovalState.PENDING else self._to(ApprovalState.WITHDRAWN)

    def void(self) -> ApprovalState:
        """Return the state after another approval took this one's place."""
        return self._to(ApprovalState.VOID)

    @property
    def can_be_replaced(self) -> bool:
        """Whether another approval may take this one's place."""
        return ApprovalState.VOID in _TRANSITIONS[self]

    @property
    def is_over(self) -> bool:
        """Whether no run waits for it. A decided approval may still be on its way to the run."""
        return self in {ApprovalState.EXPIRED, ApprovalState.WITHDRAWN, ApprovalState.VOID}

    def _to(self, new: ApprovalState) -> ApprovalState:
        if new not in _TRANSITIONS[self]:
            raise Conflict(f"the approval is already {self}")
        return new


_TRANSITIONS: dict[ApprovalState, frozenset[ApprovalState]] = {
    ApprovalState.PENDING: frozenset(ApprovalState) - {ApprovalState.PENDING},
    ApprovalState.APPROVED: frozenset({ApprovalState.WITHDRAWN, ApprovalState.VOID}),
    ApprovalState.DECLINED: frozenset(),
    ApprovalState.EXPIRED: frozenset(),
    ApprovalState.WITHDRAWN: frozenset(),
    ApprovalState.VOID: frozenset(),
}

DELIVERED_STATES = (
    ApprovalState.APPROVED,
    ApprovalState.DECLINED,
    ApprovalState.WITHDRAWN,
    ApprovalState.VOID,
)
"""States that are delivered to the waiting run. A run that received an approval which was withdrawn
since is refused when it applies the change."""


def approval_digest(
    *,
    run_id: str,
    plan_digest: str,
    path: str,
    question: str,
    changes: Mapping[str, int | None],
    form: dict[str, Any] | None,
    evidence: Sequence[Mapping[str, Any]],
) -> str:
    """Return the digest that decisions are bound to.

    It covers the run, the playbook's digest, the step, the question, its evidence, and all changes'
    digests with the seconds of their leases.
    """
    asked = {
        "run": run_id,
        "playbook": plan_digest,
        "path": path,
        "question": question,
        "changes": dict(changes),
        "form": form,
        "evidence": list(evidence),
    }
    return digest(asked)


def agreed_changes(asked: Sequence[str], chosen: Iterable[Sequence[str] | None]) -> tuple[str, ...]:
    """Return the changes that every approver chose, in the order asked. A choice of None is all."""
    sets = [set(choice) for choice in chosen if choice is not None]
    return tuple(change for change in asked if all(change in choice for choice in sets))


def one_person(name: str) -> str:
    """Return a name in the form in which names are compared.

    `Ann`, `ann ` and the actor `person:ann` are one person, with any number of keys.
    """
    return name.removeprefix("person:").strip().casefold()


def not_before(clock: datetime, *recorded: datetime | None) -> datetime:
    """Return the clock's time, or the latest recorded time if the clock went backwards.

    A clock that goes backwards must not extend the life of an approval.
    """
    return max([clock, *(each for each in recorded if each is not None)])


def next_reminder(
    now: datetime, asked_at: datetime, expires_at: datetime, every: int, sent: int
) -> datetime | None:
    """Return when people are reminded next; None: not again.

    The first reminder follows after `every` seconds or half of the time limit, whichever is
    shorter. The pause doubles with each reminder that was sent.
    """
    first = min(timedelta(seconds=every), (expires_at - asked_at) / 2)
    at = now + first * 2 ** min(sent, _MAX_DOUBLINGS)
    return at if every > 0 and at < expires_at else None


def gather_pause(now: datetime, expires_at: datetime, gathered: int) -> timedelta:
    """Return for how long questions are gathered into one message.

    The pause doubles with each message about the batch that went before, and takes a quarter of the
    time that is left at most, so that people can still answer.
    """
    doubled: int = 2 ** min(gathered, _MAX_DOUBLINGS)
    return max(timedelta(), min(_GATHER * doubled, (expires_at - now) / 4))
