"""Coverage: whether the store holds an approval of exactly this change."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_reply import approved_changes
from orchestrator.contracts.change import ApplyRequest
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.change import PolicyVerdict, Verdict
from orchestrator.store.queries import approvals, effects
from orchestrator.store.tables import ApprovalRow


async def missing_approval(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    *,
    intended_under: str | None = None,
) -> str | None:
    """Return why a change may not be applied; None if an approval covers it as the policy demands.

    Called in the transaction that records the intent. Locks the approval, so that either the intent
    is first or a withdrawal is. `intended_under`: the approval under which the intent of this very
    change was recorded before. A withdrawal since then was too late, as the vendor may have been
    called.
    """
    if request.approval_id is None:
        return "; ".join(verdict.reasons)
    row = await approvals.get(session, request.approval_id, lock=True)
    if row is None or row.run_id != request.call.ref.run.run_id:
        return f"this run has no approval {request.approval_id}"
    begun_before = row.state is ApprovalState.WITHDRAWN and row.id == intended_under
    if row.state is not ApprovalState.APPROVED and not begun_before:
        return f"approval {row.id} is {row.state}"
    decisions = await approvals.list_decisions(session, [row.id])
    if request.change.digest not in approved_changes(row, decisions):
        return f"approval {row.id} does not cover this change of {request.change.target}"
    ref = request.call.ref
    this = effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)
    if await approvals.is_spent(
        session, row.id, ref.run.run_id, ref.path, request.change.digest, this
    ):
        return f"approval {row.id} was used for this change in an earlier attempt of the run"
    return _too_lax(row, verdict) if verdict.outcome is Verdict.ASK else None


def _too_lax(row: ApprovalRow, verdict: PolicyVerdict) -> str | None:
    if row.break_glass_by is not None:
        return None  # what is protected or stopped was denied before
    if row.quorum < verdict.quorum:
        return (
            f"approval {row.id} required {row.quorum} approvals,"
            f" but the policy requires {verdict.quorum}"
        )
    if verdict.by is not None and row.by_group != verdict.by:
        asked = row.by_group or "any approver"
        return f"approval {row.id} was open to {asked}, but the policy requires {verdict.by}"
    return None
