"""How is a question shown? With its exact planned_changes, who answered what, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.domain.masking import masked
from orchestrator.store.paging import said
from orchestrator.store.tables import AnswerRow, ApprovalRow, RunRow


def view(row: ApprovalRow, run: RunRow, given: Sequence[AnswerRow]) -> dict[str, Any]:
    """One question; secrets in it are masked."""
    return {
        "id": row.id,
        "digest": row.digest,
        "kind": row.kind,
        "question": row.question,
        "planned_changes": [_planned_change(change) for change in row.changes],
        "form": row.form,
        "run_id": row.run_id,
        "path": row.path,
        "playbook": run.playbook,
        "version": run.version,
        "incident_id": run.incident_id,
        "by": row.by_group,
        "quorum": row.quorum,
        "answers": [_answer(answer) for answer in given],
        "state": row.state,
        "reasons": row.reasons,
        "escalated": row.escalated,
        "level": row.level,
        "replaced_by": row.replaced_by,
        "reminders": row.reminders,
        "glass": _glass(row),
        "asked_at": said(row.asked_at),
        "expires_at": said(row.expires_at),
        "decided_at": said(row.decided_at),
    }


def _planned_change(change: dict[str, Any]) -> dict[str, Any]:
    """What is to be changed, as a person sees it before agreeing."""
    planned_change = change["planned_change"]
    return {
        "connection": change["connection"],
        "connector": change["connector"],
        "action": change["action"],
        "effect": change["effect"],
        "input": masked(change["input"]),
        "target": planned_change["target"],
        "summary": planned_change["summary"],
        "changed": planned_change["changed"],
        "digest": change["digest"],
        "planned_change": masked(planned_change),
    }


def _glass(row: ApprovalRow) -> dict[str, Any] | None:
    """Who decided alone and why, and what somebody else said of it afterwards."""
    if row.glass_broken_by is None:
        return None
    return {
        "broken_by": row.glass_broken_by,
        "reason": row.glass_reason or "",
        "review": row.review,
        "reviewed_by": row.reviewed_by,
        "reviewed_at": said(row.reviewed_at),
        "comment": row.review_comment,
    }


def _answer(answer: AnswerRow) -> dict[str, Any]:
    return {
        "person": answer.person,
        "decision": answer.decision,
        "comment": answer.comment,
        "form": answer.form,
        "via": answer.via,
        "at": said(answer.at),
        "withdrawn_at": said(answer.withdrawn_at),
    }
