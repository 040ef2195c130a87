"""The outcome of an approval, as the waiting workflow receives it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from orchestrator.contracts.approval import Decision
from orchestrator.domain.approval import ApprovalKind, ApprovalState, DecisionType, agreed_changes
from orchestrator.domain.errors import Conflict
from orchestrator.store.tables import ApprovalRow, DecisionRow


def decision_of(row: ApprovalRow, decisions: Sequence[DecisionRow]) -> Decision:
    """Return the outcome of an approval. Raise Conflict while it has none.

    One that ended with its run counts as expired. One that was approved and withdrawn or voided
    since is reported as the approval that it was: the run may have received it before, must receive
    the same again, and is refused when it applies the change.
    """
    match row.state:
        case ApprovalState.PENDING:
            raise Conflict(f"approval {row.id} is pending")
        case ApprovalState.DECLINED:
            declines = [
                each for each in live_decisions(decisions) if each.decision is DecisionType.DECLINE
            ]
            return _decision(row, declines, "declined")
        case ApprovalState.EXPIRED:
            return _expired(row)
        case ApprovalState.APPROVED | ApprovalState.WITHDRAWN | ApprovalState.VOID:
            approvals = approving_decisions(row, decisions)
            if approvals:
                return _decision(row, approvals, "approved")
            if row.state is ApprovalState.APPROVED:
                raise Conflict(f"approval {row.id} is approved, but holds no decision")
            return _expired(row)


def approved_changes(row: ApprovalRow, decisions: Sequence[DecisionRow]) -> tuple[str, ...]:
    """Return digests of the changes that all approvers chose, or the admin in a break-glass."""
    asked = [change["digest"] for change in row.changes]
    return agreed_changes(
        asked, ((each.form or {}).get("changes") for each in approving_decisions(row, decisions))
    )


def live_decisions(decisions: Sequence[DecisionRow]) -> list[DecisionRow]:
    """Return the decisions that were not withdrawn."""
    return [decision for decision in decisions if decision.withdrawn_at is None]


def approving_decisions(row: ApprovalRow, decisions: Sequence[DecisionRow]) -> list[DecisionRow]:
    """Return the decisions that make up the approval, or did until one of them was withdrawn."""
    ended = row.state in {ApprovalState.WITHDRAWN, ApprovalState.VOID}
    decided = row.decided_at if ended else None
    alone = row.break_glass_by
    return [
        each
        for each in decisions
        if each.decision is DecisionType.APPROVE
        and (alone is None or each.person == alone)
        and (each.withdrawn_at is None or (decided is not None and each.withdrawn_at >= decided))
    ]


def _expired(row: ApprovalRow) -> Decision:
    return Decision(approval_id=row.id, state="expired")


def _decision(
    row: ApprovalRow, decisions: list[DecisionRow], state: Literal["approved", "declined"]
) -> Decision:
    approved = state == "approved"
    form: dict[str, Any] | None = None
    if approved and row.kind is ApprovalKind.FORM and decisions:
        form = decisions[-1].form
    return Decision(
        approval_id=row.id,
        state=state,
        approved_changes=approved_changes(row, decisions) if approved else (),
        form=form,
        by=tuple(each.person for each in decisions),
        comment="\n".join(each.comment for each in decisions if each.comment),
    )
