"""Withdrawals: an approver takes an approval back while its changes have not begun."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from pydantic import ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decision_input import check_comment
from orchestrator.approvals.decision_reply import approved_changes, live_decisions
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.rejections import (
    decision_time,
    lacks_permission,
    record_rejection,
    unknown_approval,
)
from orchestrator.approvals.views import get_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.examples import EXAMPLE_APPROVAL
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalKind, ApprovalState, DecisionType, one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, TocsinError
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.model import Frozen
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, runs
from orchestrator.store.tables import ApprovalRow, DecisionRow


class WithdrawalView(Frozen):
    """The approval without the withdrawn decision, and the changes that began before."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "approval": {**EXAMPLE_APPROVAL, "state": "withdrawn"},
                "already_begun": [],
                "note": "",
            }
        }
    )

    approval: ApprovalView
    already_begun: tuple[str, ...] = Field(
        description="Digests of the changes that began before the withdrawal."
    )
    note: str = Field(description="The same as text; empty if no change began.")


async def withdraw(
    rt: Runtime, client: Client | None, approval_id: str, principal: Principal, comment: str = ""
) -> WithdrawalView:
    """Withdraw a person's approval.

    A pending approval loses that decision only. An approved one no longer covers its changes, and
    its run asks again for those that have not begun. Raise NotFound, Forbidden, Conflict (no
    approval of theirs, declined, over, all changes begun), Invalid.
    """
    begun: set[str] = set()
    rejected: TocsinError | None = None
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        decisions = await approvals.list_decisions(session, [approval_id])
        now = decision_time(rt.clock(), row, decisions)
        if row is not None:
            # Under the same lock as the intents: each is counted here or refused there.
            begun = await approvals.changes_begun_under(session, approval_id)
        try:
            row = _authorize(row, principal, approval_id)
            own = _own_approval(decisions, principal)
            left = set(approved_changes(row, decisions)) - begun
            await _check_state(session, row, left)
            check_comment(comment)
        except TocsinError as error:
            rejected = error
            await record_rejection(
                session, principal, approval_id, row, error, now, wanted="withdrawal"
            )
        else:
            await _record(session, row, own, begun, comment, principal, now)
    if rejected is not None or row is None:
        raise rejected or unknown_approval(approval_id)
    if client is not None and row.state is ApprovalState.WITHDRAWN and not row.delivered:
        await deliver(rt, client, approval_id)
    return WithdrawalView(
        approval=await get_approval(rt, approval_id),
        already_begun=tuple(sorted(begun)),
        note=_note(row, begun),
    )


def _authorize(row: ApprovalRow | None, principal: Principal, approval_id: str) -> ApprovalRow:
    allowed = (Permission.APPROVAL_DECIDE, Permission.BREAK_GLASS)
    if not any(principal.has_permission(permission) for permission in allowed):
        raise lacks_permission(principal, Permission.APPROVAL_DECIDE)
    if row is None:
        raise unknown_approval(approval_id)
    return row


def _own_approval(decisions: Sequence[DecisionRow], principal: Principal) -> DecisionRow:
    same = one_person(principal.person)
    for each in live_decisions(decisions):
        if one_person(each.person) == same and each.decision is DecisionType.APPROVE:
            return each
    raise Conflict(f"{principal.person} has no approval to withdraw here")


async def _check_state(session: AsyncSession, row: ApprovalRow, left: Collection[str]) -> None:
    """Raise Conflict where a withdrawal has no effect. `left`: changes that have not begun."""
    if row.state not in {ApprovalState.PENDING, ApprovalState.APPROVED}:
        raise Conflict(f"approval {row.id} is already {row.state}")
    if row.kind is not ApprovalKind.CHANGE:
        raise Conflict("a form is used at once and cannot be withdrawn; cancel the run instead")
    if row.state is ApprovalState.PENDING:
        return
    run = await runs.get(session, row.run_id)
    if run is None or run.ended_at is not None:
        raise Conflict(f"run {row.run_id} has ended; release its containments instead")
    if not row.changes:
        raise Conflict(f"run {row.run_id} has started; cancel it instead")
    if not left:
        raise Conflict("all approved changes have begun; release their containments instead")


async def _record(
    session: AsyncSession,
    row: ApprovalRow,
    own: DecisionRow,
    begun: Collection[str],
    comment: str,
    principal: Principal,
    now: datetime,
) -> None:
    before = row.state
    own.withdrawn_at = now
    row.withdraw()
    if row.state is ApprovalState.WITHDRAWN:
        await outbox.close_notifications(session, row.id, now)
    details = {
        "approval": row.id,
        "run": row.run_id,
        "digest": row.digest,
        "was": before,
        "already_begun": sorted(begun),
        "comment": comment,
        "key": principal.key_id,
        "decided_by_key": own.key_id,
    }
    await trail.record(
        session,
        EventKind.APPROVAL_WITHDRAWN,
        actor=f"person:{principal.person}",
        subject=row.id,
        data=mask_secrets(details),
        now=now,
    )


def _note(row: ApprovalRow, begun: Collection[str]) -> str:
    changes = [change for change in row.changes if change["digest"] in begun]
    summaries = ", ".join(str(change["planned_change"]["summary"]) for change in changes)
    return f"already begun: {summaries}; release them instead" if summaries else ""
