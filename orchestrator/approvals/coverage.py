"""Has somebody agreed with exactly this change? Looked up in the store, in the transaction that records the intent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_reply import agreed
from orchestrator.contracts.messages import ApplyRequest, PolicyVerdict, Verdict
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow


async def lack_of_agreement(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    *,
    intended_under: str | None = None,
) -> str | None:
    """Why a change may not be applied yet; None when the approval covers it, at least as strictly as the policy wants.

    Locks the approval: either the intent comes first, or its withdrawal does. `intended_under`: the approval under which the intent
    of this very change is recorded already; it was too late to take that back, for the vendor may have been called.
    """
    if request.approval_id is None:
        return "; ".join(verdict.reasons)
    row = await approvals.get(session, request.approval_id, lock=True)
    if row is None or row.run_id != request.call.ref.run.run_id:
        return f"there is no approval {request.approval_id} in this run"
    if row.state != "approved" and not (row.state == "withdrawn" and row.id == intended_under):
        return f"approval {row.id} is {row.state}"
    if request.change.digest not in agreed(row, await approvals.answers(session, [row.id])):
        return f"approval {row.id} does not cover this change of {request.change.target}"
    return _too_lax(row, verdict) if verdict.outcome is Verdict.ASK else None


def _too_lax(row: ApprovalRow, verdict: PolicyVerdict) -> str | None:
    if row.glass_broken_by is not None:
        return None  # an admin decided alone; what is protected or stopped was denied before
    if row.quorum < verdict.quorum:
        return f"approval {row.id} asked {row.quorum} people, the policy wants {verdict.quorum}"
    if verdict.by is not None and row.by_group != verdict.by:
        return f"approval {row.id} asked {row.by_group or 'anyone'}, the policy wants {verdict.by}"
    return None
