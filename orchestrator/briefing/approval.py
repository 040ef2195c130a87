"""An approval as people and the API see it. Secrets in it are masked."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from orchestrator.briefing import examples
from orchestrator.domain.approval import (
    ApprovalKind,
    ApprovalState,
    DecisionChannel,
    DecisionType,
    ReviewState,
)
from orchestrator.domain.change import Verdict
from orchestrator.domain.model import Frozen


class ChangeLeaseView(Frozen):
    """How long a change lasts."""

    seconds: int | None = Field(description="Null: without an end.")
    expires_at: datetime | None = Field(description="When it ends if it is approved now.")


class ChangeVerdictView(Frozen):
    """What the policy says of a change."""

    outcome: Verdict
    rule: str | None = Field(description="The rule that decided.")
    reasons: tuple[str, ...]


class LeaseHolderView(Frozen):
    """A live lease that a restore ends."""

    lease_id: str = Field(description="The lease: run and step.")
    containment_id: str
    run_id: str
    playbook: str | None
    target: dict[str, Any] = Field(description="What it contains.")
    expires_at: datetime | None = Field(description="Null: until it is released by hand.")


class ApprovalAlertView(Frozen):
    """The alert that started the run."""

    id: str
    title: str
    rule: str | None
    severity: int
    severity_name: str
    alert_class: str
    source: str
    product: str
    alerted_at: datetime = Field(description="The time that the product gives.")
    created_at: datetime = Field(description="When Tocsin received it.")


class ApprovalAssetView(Frozen):
    """What the inventory says about a target, or about the host or user of the alert."""

    type: str
    value: str
    role: Literal["target", "host", "user"]
    kind: str | None = Field(description="Null: not known, or of a target.")
    critical: bool
    tags: tuple[str, ...]
    known: bool = Field(description="False: an own asset that the inventory does not hold.")


class EvidenceView(Frozen):
    """A row of the evidence that the playbook names."""

    label: str
    value: Any


class PlannedChangeView(Frozen):
    """One exact change that needs approval."""

    model_config = ConfigDict(json_schema_extra={"example": examples.PLANNED_CHANGE})

    connection: str
    connector: str
    action: str
    effect: str
    input: dict[str, Any]
    target: dict[str, Any]
    summary: str
    changed: bool
    digest: str
    lease: ChangeLeaseView | None = Field(description="Null: no lease limits the change.")
    holders: tuple[LeaseHolderView, ...] = Field(
        description="The live leases, of every run, that the change ends. Its digest covers them."
    )
    policy: ChangeVerdictView | None
    undo: str = Field(description="What undoes the change.")
    planned_change: dict[str, Any]


class DecisionView(Frozen):
    """One person's decision."""

    model_config = ConfigDict(json_schema_extra={"example": examples.DECISION})

    person: str
    decision: DecisionType
    comment: str
    form: dict[str, Any] | None
    via: DecisionChannel
    decided_at: datetime
    withdrawn_at: datetime | None


class BreakGlassView(Frozen):
    """An admin's lone approval, and its review."""

    model_config = ConfigDict(json_schema_extra={"example": examples.BREAK_GLASS})

    by: str
    reason: str
    review: ReviewState
    reviewed_by: str | None
    reviewed_at: datetime | None
    comment: str = Field(description="The reviewer's.")


class ApprovalView(Frozen):
    """An approval of exact changes, or a form to fill in. A decision is bound to its digest."""

    model_config = ConfigDict(json_schema_extra={"example": examples.EXAMPLE_APPROVAL})

    id: str
    digest: str
    kind: ApprovalKind
    question: str
    planned_changes: tuple[PlannedChangeView, ...]
    form: dict[str, Any] | None
    run_id: str
    path: str
    batch: str | None = Field(
        description="The batch of approvals of the same playbook version, step, source and time; "
        "null: it is joined with no other."
    )
    playbook: str
    version: int
    started_by: str = Field(description="Who started the run: a source or a person.")
    inputs: dict[str, Any] = Field(
        description="What the run was given, such as the reason of a containment by hand."
    )
    incident_id: str | None
    severity: int = Field(description="Of the most severe alert; 0 without one.")
    alert: ApprovalAlertView | None
    more_severe: ApprovalAlertView | None = Field(
        description="The most severe alert that joined the run later, if its own is not."
    )
    assets: tuple[ApprovalAssetView, ...]
    evidence: tuple[EvidenceView, ...]
    by: str | None = Field(description="The group that may decide; null: every approver.")
    handed_over_from: str | None = Field(
        description="The group that was asked first, where a person of it handed the approval over."
    )
    handed_over_by: str | None
    quorum: int
    approvals: int = Field(description="How many of the quorum have approved.")
    asked: tuple[str, ...] = Field(description="The people who were notified.")
    decisions: tuple[DecisionView, ...]
    mine: bool = Field(description="Whether it waits for your decision.")
    state: ApprovalState
    condition: str | None = Field(
        description="When the playbook asks, in its own words; null: the policy alone asks."
    )
    reasons: tuple[str, ...] = Field(description="Why else it needs approval: the policy, a limit.")
    escalated: bool
    level: int = Field(
        description="Position in the chain of `escalate_to`; 0: the group that was named first."
    )
    replaced_by: str | None = Field(description="Of a void approval: the approval that asks again.")
    reminders: int
    break_glass: BreakGlassView | None
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
