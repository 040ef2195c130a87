"""Reviews of break-glass approvals, by a person who neither approved alone nor started the run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_input import check_comment
from orchestrator.approvals.eligibility import started_by_reason
from orchestrator.approvals.new_approvers import check_established
from orchestrator.approvals.rejections import lacks_permission, record_rejection, unknown_approval
from orchestrator.approvals.views import get_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ReviewState, not_before, one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.masking import mask_secrets
from orchestrator.incidents import tasks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow


async def review(
    rt: Runtime, approval_id: str, principal: Principal, verdict: ReviewState, comment: str = ""
) -> ApprovalView:
    """Record a review, close its task, and return the approval. Changes stay as they are.

    Raise NotFound, Forbidden (used break-glass, started the run, may not decide), Conflict (nothing
    to review), Invalid.
    """
    rejected: TocsinError | None = None
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        now = not_before(rt.clock(), row.decided_at if row else None)
        try:
            row = await _check(session, row, principal, approval_id, verdict)
            await check_established(session, principal, None, now)
            check_comment(comment)
        except TocsinError as error:
            rejected = error
            request = {"wanted": "review", "verdict": verdict}
            await record_rejection(session, principal, approval_id, row, error, now, **request)
        else:
            await _record(session, row, principal, verdict, comment, now)
    if rejected is not None:
        raise rejected
    return await get_approval(rt, approval_id)


async def _check(
    session: AsyncSession,
    row: ApprovalRow | None,
    principal: Principal,
    approval_id: str,
    verdict: ReviewState,
) -> ApprovalRow:
    if not principal.has_permission(Permission.APPROVAL_DECIDE):
        raise lacks_permission(principal, Permission.APPROVAL_DECIDE)
    if row is None:
        raise unknown_approval(approval_id)
    group = row.deciding_group
    is_member = group is None or group in principal.groups
    if not is_member and not principal.has_permission(Permission.BREAK_GLASS):
        raise Forbidden(
            f"{principal.person} is not a member of {group}, which decides this approval"
        )
    if row.review is not ReviewState.PENDING:
        done = f": {row.reviewed_by} already {row.review} it" if row.review else ""
        raise Conflict(f"approval {row.id} has nothing to review{done}")
    if one_person(row.break_glass_by or "") == one_person(principal.person):
        raise Forbidden(f"{principal.person} used break-glass; another person must review it")
    if deed := await started_by_reason(session, row.run_id, principal.person):
        raise Forbidden(f"{principal.person} {deed}; another person must review it")
    if verdict is ReviewState.PENDING:
        raise Invalid("verdict: give accepted or objected")
    return row


async def _record(
    session: AsyncSession,
    row: ApprovalRow,
    principal: Principal,
    verdict: ReviewState,
    comment: str,
    now: datetime,
) -> None:
    row.record_review(verdict, principal.person, comment, now)
    details = {
        "approval": row.id,
        "run": row.run_id,
        "break_glass_by": row.break_glass_by,
        "verdict": verdict,
        "comment": comment,
        "key": principal.key_id,
    }
    actor = f"person:{principal.person}"
    await trail.record(
        session,
        EventKind.BREAK_GLASS_REVIEWED,
        actor=actor,
        subject=row.id,
        data=mask_secrets(details),
        now=now,
    )
    summary = f"{verdict}: {comment}" if comment else str(verdict)
    await tasks.close_tasks(session, TaskKind.BREAK_GLASS, row.id, actor, summary, now)
