"""Tables of approvals and of the decisions on them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field

from orchestrator.domain.approval import (
    ApprovalKind,
    ApprovalState,
    DecisionChannel,
    DecisionType,
    ReviewState,
)
from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime, enum_column, partial

PENDING = "state = 'pending'"


class ApprovalRow(Authentic, table=True):
    """An approval: a question to people about exact changes, or for the values of a form."""

    __tablename__ = "approvals"
    __table_args__ = (
        Index("ix_approvals_state", "state", "asked_at"),
        Index("ix_approvals_review", "review", "asked_at"),
        Index("ix_approvals_pending", "expires_at", **partial(PENDING)),
        Index("ix_approvals_pending_batch", "batch", **partial(PENDING)),
        Index("ix_approvals_remind_at", "remind_at", **partial("remind_at IS NOT NULL")),
    )
    id: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    workflow_id: str  # the workflow that waits for the decision
    # The batch of like questions that it belongs to; null: it is joined with no other.
    batch: str | None = Field(default=None, index=True)
    delivered: bool = False  # whether that workflow has received the decision
    path: str
    kind: ApprovalKind = Field(sa_type=enum_column(ApprovalKind))
    question: str = Field(sa_type=Text)
    changes: list[dict[str, Any]] = Field(sa_type=JSON, default=[])
    form: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    # The table that people see with the question: label and value of each row.
    evidence: list[dict[str, Any]] = Field(sa_type=JSON, default=[])
    digest: str
    by_group: str | None = None
    handed_to: str | None = None  # the group that decides in the place of `by_group`
    handed_by: str | None = None  # the person of `by_group` who handed it over
    quorum: int = 1
    state: ApprovalState = Field(sa_type=enum_column(ApprovalState))
    # When the playbook asks, in its own words; null: the policy asks.
    condition: str | None = Field(default=None, sa_type=Text)
    reasons: list[str] = Field(sa_type=JSON, default=[])
    escalated: bool = False
    level: int = 0  # position in the escalation chain; 0 asks the group that was named first
    asked_at: datetime = Field(sa_type=UtcDateTime, index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replaced_by: str | None = None  # of a void approval: the one that asks again
    reminders: int = 0  # how many were sent
    remind_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    break_glass_by: str | None = None  # the admin who approved alone
    break_glass_reason: str | None = Field(default=None, sa_type=Text)
    review: ReviewState | None = Field(
        default=None, sa_type=enum_column(ReviewState)
    )  # of a break-glass approval
    reviewed_by: str | None = None
    reviewed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    review_comment: str = Field(default="", sa_type=Text)

    @property
    def deciding_group(self) -> str | None:
        """The group that decides now; None: every approver."""
        return self.handed_to or self.by_group

    def decide(self, decision: DecisionType, *, approvals: int, at: datetime) -> None:
        """Enter the state after a decision. Raise Conflict unless the approval is pending."""
        self._enter(self.state.decide(decision, approvals=approvals, quorum=self.quorum), at)

    def break_glass(self, person: str, reason: str, at: datetime) -> None:
        """Approve by one admin alone, pending a review. Raise Conflict unless it is pending."""
        self._enter(self.state.break_glass(), at)
        self.break_glass_by = person
        self.break_glass_reason = reason
        self.review = ReviewState.PENDING

    def record_review(self, verdict: ReviewState, person: str, comment: str, at: datetime) -> None:
        """Record the review of a break-glass approval."""
        self.review = verdict
        self.reviewed_by = person
        self.reviewed_at = at
        self.review_comment = comment

    def expire(self, at: datetime) -> None:
        """End without a decision. Raise Conflict unless the approval is pending."""
        self._enter(self.state.expire(), at)

    def withdraw(self) -> None:
        """Enter the state after an approver withdrew. Raise Conflict unless pending or approved."""
        self.state = self.state.withdraw()

    def end_with_run(self, at: datetime) -> None:
        """End because the run did; no workflow waits. Raise Conflict unless it is pending."""
        self._enter(self.state.end_with_run(), at)
        self.delivered = True

    def replace(self, replaced_by: str, at: datetime) -> None:
        """Give way to another approval, which the run waits for instead.

        Raise Conflict if it cannot.
        """
        decided_at = self.decided_at
        self._enter(self.state.void(), decided_at or at)
        self.replaced_by = replaced_by
        self.delivered = True

    def _enter(self, state: ApprovalState, at: datetime) -> None:
        if state is ApprovalState.PENDING:
            return
        self.state = state
        self.decided_at = at
        self.remind_at = None


class DecisionRow(Authentic, table=True):
    """One person's decision on one approval; the primary key refuses a second one."""

    __tablename__ = "approval_decisions"
    approval_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    key_id: str
    decision: DecisionType = Field(sa_type=enum_column(DecisionType))
    comment: str = Field(default="", sa_type=Text)
    form: dict[str, Any] | None = Field(
        sa_type=JSON, default=None
    )  # the values of a form, or `{changes: [digest, ...]}` where some changes are chosen
    via: DecisionChannel = Field(default=DecisionChannel.API, sa_type=enum_column(DecisionChannel))
    at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
