"""Who signs off a decision that somebody took alone? Another person who may decide, who did not start the run either."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.break_glass import TASK
from orchestrator.approvals.decide import get_approval
from orchestrator.approvals.eligibility import started
from orchestrator.approvals.rejections import keep_refusal, too_long, unknown
from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import moment, one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.incidents import tasks
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow

Verdict = Literal["accepted", "objected"]


async def review(
    rt: Runtime, approval_id: str, principal: Principal, verdict: Verdict, comment: str = ""
) -> dict[str, Any]:
    """Says of a broken glass whether it was right; either way it is seen to. The approval afterwards. It changes nothing that was made.

    Raises NotFound, Forbidden (who broke it, who started the run, who may not decide), Conflict (nothing to review), Invalid.
    """
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        now = moment(rt.clock(), row.decided_at if row else None)
        refused = await _refusal(session, row, principal, approval_id, verdict, comment)
        if refused is not None or row is None:
            error = refused or unknown(approval_id)
            await keep_refusal(
                session, principal, approval_id, row, error, now, wanted="review", verdict=verdict
            )
        else:
            row.review, row.reviewed_by, row.reviewed_at, row.review_comment = (
                verdict,
                principal.person,
                now,
                comment,
            )
            told = {
                "approval": row.id,
                "run": row.run_id,
                "broken_by": row.glass_broken_by,
                "verdict": verdict,
                "comment": comment,
            }
            actor = f"person:{principal.person}"
            data = masked({**told, "key": principal.key_id})
            await trail.record(
                session,
                EventKind.BREAK_GLASS_REVIEWED,
                actor=actor,
                subject=row.id,
                data=data,
                now=now,
            )
            await tasks.close_tasks(
                session, TASK, row.id, actor, f"{verdict}: {comment}".rstrip(": "), now
            )
    if refused is not None:
        raise refused
    return await get_approval(rt, approval_id)


async def _refusal(
    session: AsyncSession,
    row: ApprovalRow | None,
    principal: Principal,
    approval_id: str,
    verdict: str,
    comment: str,
) -> TocsinError | None:
    if not principal.may(Permission.APPROVAL_DECIDE):
        return Forbidden(
            f"{principal.person} may not decide approvals; it takes the permission {Permission.APPROVAL_DECIDE}"
        )
    if row is None:
        return unknown(approval_id)
    if (
        row.by_group is not None
        and row.by_group not in principal.groups
        and not principal.may(Permission.BREAK_GLASS)
    ):
        return Forbidden(f"{principal.person} is not in {row.by_group}, whose question this was")
    if row.review != "pending":
        return Conflict(
            f"approval {row.id} has nothing to review"
            + (f"; {row.reviewed_by} {row.review} already" if row.review else "")
        )
    if one_person(row.glass_broken_by or "") == one_person(principal.person):
        return Forbidden(f"{principal.person} broke the glass; somebody else has to look at it")
    if did := await started(session, row.run_id, principal.person):
        return Forbidden(f"{principal.person} {did}; somebody else has to look at it")
    if verdict not in {"accepted", "objected"}:
        return Invalid("verdict: give accepted or objected")
    return too_long(comment)
