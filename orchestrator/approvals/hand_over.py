"""Hand-over: a member of the group that is asked passes an approval to another group.

The policy lists to which groups (`approvals.hand_over`). It is believed as long as the policy in
force lists it and its event is in the audit trail: at the decision, and again when a change is
applied.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.approvals.decision_input import check_comment
from orchestrator.approvals.decision_reply import live_decisions
from orchestrator.approvals.eligibility import approval_bar, started_by_reason
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
from orchestrator.domain.approval import ApprovalKind, one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.notification import NotificationKind
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals
from orchestrator.store.tables import ApprovalRow


async def hand_over(
    rt: Runtime, approval_id: str, principal: Principal, to: str, reason: str
) -> ApprovalView:
    """Let another group decide an approval, notify it, and return the approval.

    Digest, quorum and end stay; the approval leaves its batch. Raise NotFound, Forbidden (not of
    the group, involved in the run, not allowed by the policy), Conflict (over, decided in part,
    handed over before), Invalid.
    """
    rejected: TocsinError | None = None
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        decisions = await approvals.list_decisions(session, [approval_id])
        now = decision_time(rt.clock(), row, decisions)
        try:
            row = await _authorize(session, row, principal, approval_id, now)
            check_open(row, row.digest, now)
            _check_undecided(row, len(live_decisions(decisions)))
            await _check_target(session, row, to)
            check_comment(reason)
        except TocsinError as error:
            rejected = error
            request = {"wanted": "hand-over", "to": to}
            await record_rejection(session, principal, approval_id, row, error, now, **request)
        else:
            await _record(session, row, principal, to, reason, now)
    if rejected is not None:
        raise rejected
    return await get_approval(rt, approval_id, principal)


async def hand_over_lack(session: AsyncSession, row: ApprovalRow) -> str | None:
    """Return why the hand-over of an approval does not count; None where it does, or there is none.

    Fails closed: what the policy in force does not list, or the trail does not prove, is none.
    """
    if row.handed_to is None:
        return None
    what = f"approval {row.id} was handed over to {row.handed_to}"
    recorded = await approvals.list_hand_overs(session, row.id)
    if (f"person:{row.handed_by}", row.by_group, row.handed_to) not in recorded:
        return f"{what}, but the audit trail has no event of it"
    listed = (await load_policy(session)).policy.approvals.hand_over.get(row.by_group or "", ())
    if row.handed_to not in listed:
        return f"{what}, which the policy does not allow for {row.by_group}"
    return None


async def _authorize(
    session: AsyncSession,
    row: ApprovalRow | None,
    principal: Principal,
    approval_id: str,
    now: datetime,
) -> ApprovalRow:
    """Return the approval. Raise Forbidden or NotFound without a word on the approval's state."""
    if not principal.has_permission(Permission.APPROVAL_DECIDE):
        raise lacks_permission(principal, Permission.APPROVAL_DECIDE)
    if row is None:
        raise unknown_approval(approval_id)
    person = principal.person
    if row.by_group is None:
        raise Invalid(f"approval {row.id} is open to every approver, so there is none to hand over")
    if row.by_group not in principal.groups:
        raise Forbidden(f"{person} is not a member of {row.by_group}, which is asked here")
    deed = await started_by_reason(session, row.run_id, person) or await approval_bar(
        session, row.run_id, person
    )
    if deed is not None:
        raise Forbidden(f"{person} {deed}, and cannot choose who decides its changes")
    await check_established(session, principal, row.by_group, now)
    return row


def _check_undecided(row: ApprovalRow, decisions: int) -> None:
    if row.kind is not ApprovalKind.CHANGE:
        raise Conflict(f"approval {row.id} asks for a form, which only its own group answers")
    if row.handed_to is not None:
        raise Conflict(f"approval {row.id} was handed over to {row.handed_to} before")
    if decisions:
        raise Conflict(f"approval {row.id} has {decisions} decisions; withdraw them first")


async def _check_target(session: AsyncSession, row: ApprovalRow, to: str) -> None:
    allowed = (await load_policy(session)).policy.approvals.hand_over.get(row.by_group or "", ())
    if to not in allowed:
        listed = ", ".join(allowed) or "no group"
        raise Forbidden(
            f"the policy lets {row.by_group} hand over to {listed}, and not to {to}; "
            "see `approvals.hand_over` in the policy"
        )


async def _record(
    session: AsyncSession,
    row: ApprovalRow,
    principal: Principal,
    to: str,
    reason: str,
    now: datetime,
) -> None:
    row.handed_to, row.handed_by = to, principal.person
    batch, row.batch = row.batch, None  # a batch is decided by one group
    await session.flush()
    await outbox.close_notifications(session, row.id, now)
    if batch is not None:
        await outbox.close_batch(session, batch, now)
    await outbox.notify_approvers(session, row, NotificationKind.ASKED, now)
    details = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "from": row.by_group,
        "to": to,
        "batch": batch,
        "reason": reason,
        "key": principal.key_id,
    }
    await trail.record(
        session,
        EventKind.APPROVAL_HANDED_OVER,
        actor=f"person:{principal.person}",
        subject=row.id,
        data=mask_secrets(details),
        now=now,
    )


def handed_over_by(row: ApprovalRow, person: str) -> bool:
    """Return whether a person handed an approval over, and so does not approve it."""
    return row.handed_by is not None and one_person(row.handed_by) == one_person(person)
