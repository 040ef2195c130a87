"""Approvals, as the API shows them. Secrets in them are masked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.approvals.rejections import unknown_approval
from orchestrator.domain.approval import (
    ApprovalKind,
    ApprovalState,
    DecisionChannel,
    DecisionType,
    ReviewState,
)
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import approvals, runs
from orchestrator.store.tables import ApprovalRow, DecisionRow, RunRow

EXAMPLE_DIGEST = "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
_PLANNED_CHANGE: dict[str, Any] = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7"},
    "target": {"type": "address", "value": "198.51.100.7"},
    "summary": "Tag 198.51.100.7 as blocked",
    "changed": True,
    "digest": EXAMPLE_DIGEST,
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag 198.51.100.7 as blocked",
    },
}
_DECISION: dict[str, Any] = {
    "person": "ann",
    "decision": "approve",
    "comment": "seen it on the proxy too",
    "form": None,
    "via": "api",
    "decided_at": "2026-01-01T12:03:00Z",
    "withdrawn_at": None,
}
_BREAK_GLASS: dict[str, Any] = {
    "by": "ann",
    "reason": "the leads are on a plane, the host is being encrypted",
    "review": "pending",
    "reviewed_by": None,
    "reviewed_at": None,
    "comment": "",
}
EXAMPLE_APPROVAL: dict[str, Any] = {
    "id": "apr_1f0c",
    "digest": EXAMPLE_DIGEST,
    "kind": "change",
    "question": "Block 198.51.100.7?",
    "planned_changes": [_PLANNED_CHANGE],
    "form": None,
    "run_id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "path": "contain",
    "playbook": "c2-beacon-containment",
    "version": 3,
    "incident_id": "inc_019a8c7d21f04b6c1e2f3a4b5c6d",
    "by": "soc-leads",
    "quorum": 1,
    "decisions": [],
    "state": "pending",
    "reasons": ["the host is critical"],
    "escalated": False,
    "level": 0,
    "replaced_by": None,
    "reminders": 1,
    "break_glass": None,
    "created_at": "2026-01-01T12:00:01Z",
    "expires_at": "2026-01-01T12:15:01Z",
    "decided_at": None,
}


class PlannedChangeView(Frozen):
    """One exact change that needs approval."""

    model_config = ConfigDict(json_schema_extra={"example": _PLANNED_CHANGE})

    connection: str
    connector: str
    action: str
    effect: str
    input: dict[str, Any]
    target: dict[str, Any]
    summary: str
    changed: bool
    digest: str
    planned_change: dict[str, Any]


class DecisionView(Frozen):
    """One person's decision."""

    model_config = ConfigDict(json_schema_extra={"example": _DECISION})

    person: str
    decision: DecisionType
    comment: str
    form: dict[str, Any] | None
    via: DecisionChannel
    decided_at: datetime
    withdrawn_at: datetime | None


class BreakGlassView(Frozen):
    """An admin's lone approval, and its review."""

    model_config = ConfigDict(json_schema_extra={"example": _BREAK_GLASS})

    by: str
    reason: str
    review: ReviewState
    reviewed_by: str | None
    reviewed_at: datetime | None
    comment: str = Field(description="The reviewer's.")


class ApprovalView(Frozen):
    """An approval of exact changes, or a form to fill in. A decision is bound to its digest."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE_APPROVAL})

    id: str
    digest: str
    kind: ApprovalKind
    question: str
    planned_changes: tuple[PlannedChangeView, ...]
    form: dict[str, Any] | None
    run_id: str
    path: str
    playbook: str
    version: int
    incident_id: str | None
    by: str | None = Field(description="The group that may decide; null: every approver.")
    quorum: int
    decisions: tuple[DecisionView, ...]
    state: ApprovalState
    reasons: tuple[str, ...]
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

    @property
    def approvals(self) -> int:
        """The number of people who approve."""
        return sum(
            each.decision is DecisionType.APPROVE and each.withdrawn_at is None
            for each in self.decisions
        )


async def list_approvals(
    rt: Runtime,
    *,
    state: str | None = None,
    run_id: str | None = None,
    review: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ApprovalView]:
    """Return approvals, newest first. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await approvals.list_page(
            session,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            state=state,
            run_id=run_id,
            review=review,
        )
        decisions = await approvals.list_decisions(session, [row.id for row, _ in rows])
    items = [
        _view(row, run, [each for each in decisions if each.approval_id == row.id])
        for row, run in rows
    ]
    return make_page(items, limit, (rows[-1][0].asked_at, rows[-1][0].id) if rows else None)


async def get_approval(rt: Runtime, approval_id: str) -> ApprovalView:
    """Return an approval. Raise NotFound."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        run = await runs.get(session, row.run_id) if row else None
        if row is None or run is None:
            raise unknown_approval(approval_id)
        return _view(row, run, await approvals.list_decisions(session, [row.id]))


def _view(row: ApprovalRow, run: RunRow, decisions: Sequence[DecisionRow]) -> ApprovalView:
    return ApprovalView(
        id=row.id,
        digest=row.digest,
        kind=row.kind,
        question=row.question,
        planned_changes=tuple(_planned_change(change) for change in row.changes),
        form=row.form,
        run_id=row.run_id,
        path=row.path,
        playbook=run.playbook,
        version=run.version,
        incident_id=run.incident_id,
        by=row.by_group,
        quorum=row.quorum,
        decisions=tuple(
            DecisionView(
                **each.model_dump(exclude={"approval_id", "key_id", "at"}), decided_at=each.at
            )
            for each in decisions
        ),
        state=row.state,
        reasons=tuple(row.reasons),
        escalated=row.escalated,
        level=row.level,
        replaced_by=row.replaced_by,
        reminders=row.reminders,
        break_glass=_break_glass(row),
        created_at=row.asked_at,
        expires_at=row.expires_at,
        decided_at=row.decided_at,
    )


def _planned_change(change: dict[str, Any]) -> PlannedChangeView:
    planned_change = change["planned_change"]
    return PlannedChangeView(
        connection=change["connection"],
        connector=change["connector"],
        action=change["action"],
        effect=change["effect"],
        input=mask_secrets(change["input"]),
        target=planned_change["target"],
        summary=planned_change["summary"],
        changed=planned_change["changed"],
        digest=change["digest"],
        planned_change=mask_secrets(planned_change),
    )


def _break_glass(row: ApprovalRow) -> BreakGlassView | None:
    if row.break_glass_by is None or row.review is None:
        return None
    return BreakGlassView(
        by=row.break_glass_by,
        reason=row.break_glass_reason or "",
        review=row.review,
        reviewed_by=row.reviewed_by,
        reviewed_at=row.reviewed_at,
        comment=row.review_comment,
    )
