"""Coverage: whether the store holds an approval of exactly this change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_reply import approved_changes, approving_decisions
from orchestrator.approvals.hand_over import hand_over_lack
from orchestrator.contracts.change import ApplyRequest
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.change import PolicyVerdict, Verdict
from orchestrator.domain.incident import TaskKind
from orchestrator.incidents.refused_rows import FIX
from orchestrator.incidents.tasks import open_task
from orchestrator.store.queries import approvals, effects
from orchestrator.store.tables import ApprovalRow, DecisionRow


async def missing_approval(
    session: AsyncSession,
    request: ApplyRequest,
    verdict: PolicyVerdict,
    now: datetime,
    *,
    intended_under: str | None = None,
    effect_id: str | None = None,
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
    this = effect_id or effects.effect_id(ref.run.run_id, ref.path, ref.run.attempt)
    unproven = await _unproven(session, row, approving_decisions(row, decisions), now)
    if unproven is not None:
        return unproven
    if row.break_glass_by is None and (lack := await hand_over_lack(session, row)) is not None:
        return lack
    if await approvals.is_spent(
        session, row.id, ref.run.run_id, ref.path, request.change.digest, this
    ):
        return f"approval {row.id} was used for this change in an earlier attempt of the run"
    return _too_lax(row, verdict) if verdict.outcome is Verdict.ASK else None


async def _unproven(
    session: AsyncSession, row: ApprovalRow, approving: Sequence[DecisionRow], now: datetime
) -> str | None:
    """Return what an approval lacks that its decisions leave behind, with a task; None: nothing.

    Its state alone is not believed: a row may have been deleted, or have been written by another
    hand.
    """
    needed = 1 if row.break_glass_by is not None else row.quorum
    was_withdrawn = row.state is ApprovalState.WITHDRAWN  # after the change began
    recorded = await approvals.list_recorded_approvers(
        session, row.id, also_withdrawn=was_withdrawn
    )
    proven = [each for each in approving if f"person:{each.person}" in recorded]
    if len(proven) >= needed and len(proven) == len(approving):
        return None
    lack = (
        f"approval {row.id} is {row.state}, but has {len(proven)} decisions with an event in the "
        f"audit trail, and needs {needed}"
    )
    await open_task(
        session,
        kind=TaskKind.REFUSED_ROW,
        subject=f"{row.__tablename__} {row.id}",
        summary=f"{lack}; nothing was changed under it. {FIX.capitalize()}.",
        now=now,
    )
    return lack


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
