"""How does an admin decide alone, and who looks at it afterwards? With a reason, and open until somebody else has signed it off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.answers import fitting_choice
from orchestrator.approvals.decide import get_approval
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.rejections import keep_refusal, now_for, too_long, unknown
from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.incidents import tasks
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store.paging import said
from orchestrator.store.queries import approvals
from orchestrator.store.tables import AnswerRow, ApprovalRow

TASK = "break_glass"
SHORTEST_REASON = 10


async def break_glass(
    rt: Runtime,
    client: Client | None,
    approval_id: str,
    principal: Principal,
    digest: str,
    reason: str,
    changes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Approves alone, whatever the quorum, the group and who had a hand in the run; to be reviewed. The approval afterwards.

    What is protected, denied or stopped by a kill switch stays so: that is judged when it is applied. Raises NotFound, Forbidden
    (not an admin, or the policy does not have it), Conflict (decided, late, another digest), Invalid (reason, choice, a form).
    """
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        given = await approvals.answers(session, [approval_id])
        answer = AnswerRow(
            approval_id=approval_id,
            person=principal.person,
            key_id=principal.key_id,
            decision="approve",
            comment=reason.strip(),
            at=now_for(rt.clock(), row, given),
        )
        refused = await _refusal(session, row, principal, answer, digest, changes)
        if refused is not None or row is None:
            error = refused or unknown(approval_id)
            await keep_refusal(
                session,
                principal,
                approval_id,
                row,
                error,
                answer.at,
                wanted="break_glass",
                digest=digest,
            )
        else:
            await _break(session, row, answer)
    if refused is not None:
        raise refused
    if client is not None:
        await deliver(rt, client, approval_id)
    return await get_approval(rt, approval_id)


async def _refusal(
    session: AsyncSession,
    row: ApprovalRow | None,
    principal: Principal,
    answer: AnswerRow,
    digest: str,
    changes: Sequence[str] | None,
) -> TocsinError | None:
    """Why the glass stays whole. Puts the choice into the answer."""
    if not principal.may(Permission.BREAK_GLASS):
        return Forbidden(
            f"{principal.person} may not break the glass; it takes the permission {Permission.BREAK_GLASS}"
        )
    if not (await policy_in_force(session)).policy.approvals.break_glass:
        return Forbidden(
            "the policy in force has no breaking of the glass: `approvals: {break_glass: false}`"
        )
    if row is None:
        return unknown(answer.approval_id)
    if row.kind != "change":
        return Invalid("a form is no change to agree with; answer it")
    return _stale(row, answer, digest) or _misfit(row, answer, changes)


def _stale(row: ApprovalRow, answer: AnswerRow, digest: str) -> TocsinError | None:
    if row.state != "pending":
        return Conflict(f"approval {row.id} is {row.state} already")
    if row.expires_at <= answer.at:
        return Conflict(f"approval {row.id} could be answered until {said(row.expires_at)}")
    if digest != row.digest:
        return Conflict(
            f"the digest is not that of approval {row.id}; read it again, and decide on what it says now"
        )
    return None


def _misfit(
    row: ApprovalRow, answer: AnswerRow, changes: Sequence[str] | None
) -> TocsinError | None:
    if len(answer.comment) < SHORTEST_REASON:
        return Invalid(
            f"reason: say in at least {SHORTEST_REASON} characters why nobody else can be asked"
        )
    try:
        choice = fitting_choice([change["digest"] for change in row.changes], changes)
    except Invalid as error:
        return error
    answer.form = {"changes": choice} if choice is not None else None
    return too_long(answer.comment, "reason")


async def _break(session: AsyncSession, row: ApprovalRow, answer: AnswerRow) -> None:
    await approvals.answer(session, answer)
    row.state, row.decided_at, row.remind_at = "approved", answer.at, None
    row.glass_broken_by, row.glass_reason, row.review = answer.person, answer.comment, "pending"
    told = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "reason": answer.comment,
        "key": answer.key_id,
        "chosen": answer.form,
        "quorum": row.quorum,
        "by_group": row.by_group,
    }
    actor = f"person:{answer.person}"
    await trail.record(
        session,
        EventKind.BREAK_GLASS_USED,
        actor=actor,
        subject=row.id,
        data=masked(told),
        now=answer.at,
    )
    summary = f"{answer.person} approved alone: {row.question} Their reason: {answer.comment}"
    await tasks.open_task(session, kind=TASK, subject=row.id, summary=summary, now=answer.at)
    await outbox.tell(session, row, "closed", answer.at)
