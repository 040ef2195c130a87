"""How does somebody take back what they approved? While its changes are not made yet; what was begun is told, to be released instead."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.decide import get_approval
from orchestrator.approvals.decision_reply import agreed, counted
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.rejections import keep_refusal, now_for, too_long, unknown
from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, runs
from orchestrator.store.tables import AnswerRow, ApprovalRow


async def withdraw(
    rt: Runtime, client: Client | None, approval_id: str, principal: Principal, comment: str = ""
) -> dict[str, Any]:
    """Takes a person's approval back. `approval` as it stands afterwards; `made`: digests of its changes that were begun before.

    A pending question just lacks the answer again. One that was approved holds no more, and its run asks anew for what it has not
    begun. Raises NotFound, Forbidden, Conflict (nothing of theirs to take back, declined, over, all made already), Invalid.
    """
    made: set[str] = set()
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        given = await approvals.answers(session, [approval_id])
        now = now_for(rt.clock(), row, given)
        own = next(
            (
                each
                for each in counted(given)
                if one_person(each.person) == one_person(principal.person)
            ),
            None,
        )
        if row is not None:
            # Under the same lock as the intents of its changes: each is either counted here or refused there.
            made = await approvals.made_under(session, approval_id)
        refused = await _refusal(
            session,
            row,
            own,
            principal,
            approval_id,
            comment,
            set(agreed(row, given)) - made if row else (),
        )
        if refused is not None or row is None or own is None:
            error = refused or unknown(approval_id)
            await keep_refusal(
                session, principal, approval_id, row, error, now, wanted="withdrawal"
            )
        else:
            was, own.withdrawn_at = row.state, now
            if was == "approved":
                row.state = "withdrawn"
                await outbox.tell(session, row, "closed", now)
            told = {
                "approval": row.id,
                "run": row.run_id,
                "digest": row.digest,
                "was": was,
                "made": sorted(made),
            }
            told |= {"comment": comment, "key": principal.key_id, "answered_by_key": own.key_id}
            actor = f"person:{principal.person}"
            await trail.record(
                session,
                EventKind.APPROVAL_WITHDRAWN,
                actor=actor,
                subject=row.id,
                data=masked(told),
                now=now,
            )
    if refused is not None:
        raise refused
    if client is not None and row is not None and row.state == "withdrawn" and not row.delivered:
        await deliver(rt, client, approval_id)
    return {
        "approval": await get_approval(rt, approval_id),
        "made": sorted(made),
        "note": _note(row, made),
    }


async def _refusal(
    session: AsyncSession,
    row: ApprovalRow | None,
    own: AnswerRow | None,
    principal: Principal,
    approval_id: str,
    comment: str,
    left: Collection[str],
) -> TocsinError | None:
    if not (principal.may(Permission.APPROVAL_DECIDE) or principal.may(Permission.BREAK_GLASS)):
        return Forbidden(
            f"{principal.person} may not decide approvals; it takes the permission {Permission.APPROVAL_DECIDE}"
        )
    if row is None:
        return unknown(approval_id)
    if own is None or own.decision != "approve":
        return Conflict(f"{principal.person} has no approval to take back here")
    if row.state not in {"pending", "approved"}:
        return Conflict(f"approval {row.id} is {row.state} already")
    if row.kind != "change":
        return Conflict(
            "a filled form is used at once, and cannot be taken back; cancel the run instead"
        )
    run = await runs.get(session, row.run_id)
    if row.state == "approved" and (run is None or run.ended_at is not None):
        return Conflict(f"run {row.run_id} is over; release what it made instead")
    if row.state == "approved" and not row.changes:
        return Conflict("the run has begun by that; cancel it instead")
    if row.state == "approved" and not left:
        return Conflict("all of its changes are made already; release them instead")
    return too_long(comment)


def _note(row: ApprovalRow | None, made: Collection[str]) -> str:
    begun = [change for change in (row.changes if row else ()) if change["digest"] in made]
    summaries = ", ".join(str(change["planned_change"]["summary"]) for change in begun)
    return f"already made: {summaries}; release them instead" if summaries else ""
