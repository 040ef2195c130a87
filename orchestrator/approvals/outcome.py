"""What a person reads after a decision: their choice, and what is still missing."""

from __future__ import annotations

from orchestrator.briefing.approval import ApprovalView
from orchestrator.domain.approval import ApprovalState, DecisionType, one_person


def describe_outcome(approval: ApprovalView, person: str) -> str:
    """Return what an approval came to, after a person decided it."""
    count = f"{approval.approvals} of {approval.quorum} approvals"
    if approval.state is ApprovalState.PENDING:
        state = f"{count}; the others have until {approval.expires_at:%Y-%m-%d %H:%M} UTC"
    elif approval.state is ApprovalState.APPROVED:
        state = f"The request is approved{f': {count}' if approval.quorum > 1 else ''}"
    else:
        state = f"The request is {approval.state}"
    return f"{_chosen(approval, person)}{state}."


def _chosen(approval: ApprovalView, person: str) -> str:
    """Return which changes the person approved, where it is not all of them."""
    total = len(approval.planned_changes)
    for each in approval.decisions:
        chosen = (each.form or {}).get("changes") if total else None
        if (
            chosen
            and each.decision is DecisionType.APPROVE
            and one_person(each.person) == one_person(person)
        ):
            return f"{len(chosen)} of {total} changes; the others are not made. "
    return ""
