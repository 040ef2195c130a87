"""Break-glass: an admin approves alone, with a reason, and another person reviews it afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decision_input import check_comment, validate_choice
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.new_approvers import check_established
from orchestrator.approvals.rejections import (
    check_open,
    decision_time,
    lacks_permission,
    record_rejection,
    unknown_approval,
)
from orchestrator.approvals.views import get_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalKind, DecisionType
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Forbidden, Invalid, TocsinError
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.masking import mask_secrets
from orchestrator.incidents import tasks
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow, DecisionRow

MIN_REASON = 10


async def break_glass(
    rt: Runtime,
    client: Client | None,
    approval_id: str,
    principal: Principal,
    digest: str,
    reason: str,
    changes: Sequence[str] | None = None,
) -> ApprovalView:
    """Approve alone, whatever quorum, group and separation of duties demand; return the approval.

    Protections, denials and kill switches still hold: the policy is evaluated again at apply.
    Raise NotFound, Forbidden (no permission, or not allowed by the policy), Conflict (decided,
    expired, other digest), Invalid (reason, choice, a form).
    """
    rejected: TocsinError | None = None
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        earlier = await approvals.list_decisions(session, [approval_id])
        new = DecisionRow(
            approval_id=approval_id,
            person=principal.person,
            key_id=principal.key_id,
            decision=DecisionType.APPROVE,
            comment=reason.strip(),
            at=decision_time(rt.clock(), row, earlier),
        )
        try:
            row = await _authorize(session, row, principal, approval_id)
            await check_established(session, principal, None, new.at)
            check_open(row, digest, new.at)
            _check_reason(new.comment)
            choice = validate_choice([change["digest"] for change in row.changes], changes)
            new.form = {"changes": choice} if choice is not None else None
        except TocsinError as error:
            rejected = error
            request = {"wanted": "break_glass", "digest": digest}
            await record_rejection(session, principal, approval_id, row, error, new.at, **request)
        else:
            await _record(session, row, new)
    if rejected is not None:
        raise rejected
    if client is not None:
        await deliver(rt, client, approval_id)
    return await get_approval(rt, approval_id)


async def _authorize(
    session: AsyncSession, row: ApprovalRow | None, principal: Principal, approval_id: str
) -> ApprovalRow:
    """Return the approval. Raise Forbidden, NotFound, or Invalid for a form."""
    if not principal.has_permission(Permission.BREAK_GLASS):
        raise lacks_permission(principal, Permission.BREAK_GLASS)
    if not (await load_policy(session)).policy.approvals.break_glass:
        raise Forbidden(
            "the policy in force does not allow break-glass: `approvals: {break_glass: false}`"
        )
    if row is None:
        raise unknown_approval(approval_id)
    if row.kind is not ApprovalKind.CHANGE:
        raise Invalid(f"approval {row.id} asks for a form; break-glass is for changes")
    return row


def _check_reason(reason: str) -> None:
    if len(reason) < MIN_REASON:
        raise Invalid(
            f"reason: explain in at least {MIN_REASON} characters why no other approver can decide"
        )
    check_comment(reason, "reason")


async def _record(session: AsyncSession, row: ApprovalRow, new: DecisionRow) -> None:
    """Record the decision, its event, and the task for the review."""
    row.break_glass(new.person, new.comment, new.at)
    await approvals.save_decision(session, new)
    details = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "reason": new.comment,
        "key": new.key_id,
        "chosen": new.form,
        "quorum": row.quorum,
        "by_group": row.by_group,
    }
    await trail.record(
        session,
        EventKind.BREAK_GLASS_USED,
        actor=f"person:{new.person}",
        subject=row.id,
        data=mask_secrets(details),
        now=new.at,
    )
    summary = f"{new.person} approved alone: {row.question} Reason: {new.comment}"
    await tasks.open_task(
        session, kind=TaskKind.BREAK_GLASS, subject=row.id, summary=summary, now=new.at
    )
    await outbox.close_notifications(session, row.id, new.at)
