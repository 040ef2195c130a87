"""Decisions: one person approves or declines, checked and recorded in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decision_input import (
    check_comment,
    seal_answers,
    validate_choice,
    validate_form,
)
from orchestrator.approvals.decision_reply import live_decisions
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.eligibility import approval_bar
from orchestrator.approvals.hand_over import hand_over_lack, handed_over_by
from orchestrator.approvals.new_approvers import check_established
from orchestrator.approvals.rejections import (
    check_batch,
    check_open,
    decision_time,
    lacks_permission,
    record_rejection,
    unknown_approval,
)
from orchestrator.approvals.views import get_approval
from orchestrator.audit import trail
from orchestrator.briefing.approval import ApprovalView
from orchestrator.crypto.box import Box
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import (
    ApprovalKind,
    ApprovalState,
    DecisionChannel,
    DecisionType,
    one_person,
)
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.masking import mask_secrets
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow, DecisionRow


async def decide(
    rt: Runtime,
    client: Client | None,
    approval_id: str,
    principal: Principal,
    decision: DecisionType,
    digest: str,
    comment: str = "",
    changes: Sequence[str] | None = None,
    form: dict[str, Any] | None = None,
    via: DecisionChannel = DecisionChannel.API,
    batch: str | None = None,
) -> ApprovalView:
    """Record one person's decision, and return the approval.

    `changes`: digests of the approved changes, None for all. `batch`: the batch in which the person
    saw it. The decision holds even while Temporal is down: the reconciler delivers it. Raise
    NotFound, Forbidden (may not decide), Conflict (decided, expired, second decision, other digest
    or batch), Invalid (form, choice); the audit trail records each rejection.
    """
    rejected: TocsinError | None = None
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        earlier = await approvals.list_decisions(session, [approval_id])
        new = DecisionRow(
            approval_id=approval_id,
            person=principal.person,
            key_id=principal.key_id,
            decision=decision,
            comment=comment,
            via=via,
            at=decision_time(rt.clock(), row, earlier),
        )
        try:
            row = await _authorize(session, row, principal, new)
            _check(row, live_decisions(earlier), new, digest)
            check_batch(row, batch)
            new.form = _input(rt.secrets, row, new, changes, form)
        except TocsinError as error:
            rejected = error
            request = {"decision": decision, "digest": digest, "via": via, "batch": batch}
            await record_rejection(session, principal, approval_id, row, error, new.at, **request)
        else:
            await _record(session, row, live_decisions(earlier), new, batch)
    if rejected is not None:
        raise rejected
    if client is not None and row is not None and row.state is not ApprovalState.PENDING:
        await deliver(rt, client, approval_id)
    return await get_approval(rt, approval_id)


async def _authorize(
    session: AsyncSession, row: ApprovalRow | None, principal: Principal, new: DecisionRow
) -> ApprovalRow:
    """Return the approval. Raise Forbidden or NotFound without a word on the approval's state."""
    if not principal.has_permission(Permission.APPROVAL_DECIDE):
        raise lacks_permission(principal, Permission.APPROVAL_DECIDE)
    if row is None:
        raise unknown_approval(new.approval_id)
    group = row.deciding_group
    if group is not None and group not in principal.groups:
        raise Forbidden(
            f"{principal.person} is not a member of {group}, which decides this approval"
        )
    if new.decision != DecisionType.DECLINE and row.kind is ApprovalKind.CHANGE:
        deed = await approval_bar(session, row.run_id, principal.person)
        if deed is not None:
            raise Forbidden(
                f"{principal.person} {deed}, and can decline its changes, but not approve them;"
                " ask another approver"
            )
        if handed_over_by(row, principal.person):
            raise Forbidden(
                f"{principal.person} handed this approval over, and can decline, but not approve"
            )
        if (lack := await hand_over_lack(session, row)) is not None:
            raise Forbidden(f"{lack}; decline it, and the run can ask again")
        await check_established(session, principal, group, new.at)
    return row


def _check(row: ApprovalRow, earlier: Sequence[DecisionRow], new: DecisionRow, digest: str) -> None:
    if any(one_person(other.person) == one_person(new.person) for other in earlier):
        raise Conflict(f"{new.person} has already decided; withdraw that decision first")
    check_open(row, digest, new.at)
    check_comment(new.comment)


def _input(
    box: Box,
    row: ApprovalRow,
    new: DecisionRow,
    changes: Sequence[str] | None,
    form: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """Return what is stored with the decision. Raise Invalid for what does not fit the approval."""
    if form is not None and row.kind is not ApprovalKind.FORM:
        raise Invalid(f"form: approval {row.id} is about changes; leave `form` out")
    if changes is not None and row.kind is not ApprovalKind.CHANGE:
        raise Invalid(f"changes: approval {row.id} asks for a form; leave `changes` out")
    if new.decision == DecisionType.DECLINE:
        return None
    if row.kind is ApprovalKind.FORM:
        asked = row.form or {}
        return seal_answers(box, row.id, asked, validate_form(asked, form))
    choice = validate_choice([change["digest"] for change in row.changes], changes)
    return {"changes": choice} if choice is not None else None


async def _record(
    session: AsyncSession,
    row: ApprovalRow,
    earlier: Sequence[DecisionRow],
    new: DecisionRow,
    batch: str | None,
) -> None:
    """Record the decision and its event. One decline ends the approval, or else the quorum does."""
    agreeing = sum(each.decision == DecisionType.APPROVE for each in [*earlier, new])
    row.decide(new.decision, approvals=agreeing, at=new.at)
    await approvals.save_decision(session, new)
    if row.state is not ApprovalState.PENDING:
        await outbox.close_notifications(session, row.id, new.at)
    details = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "decision": new.decision,
        "comment": new.comment,
        "key": new.key_id,
        "via": new.via,
        "chosen": new.form,
        "state": row.state,
        "agreeing": agreeing,
        "quorum": row.quorum,
        "batch": batch,
    }
    await trail.record(
        session,
        EventKind.APPROVAL_DECIDED,
        actor=f"person:{new.person}",
        subject=row.id,
        data=mask_secrets(details),
        now=new.at,
    )
