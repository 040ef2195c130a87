"""Who may answer which question, and what comes of it? Checked and kept in one transaction; the run hears of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.approvals.answers import fitting_choice, fitting_form
from orchestrator.approvals.decision_reply import counted
from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.eligibility import barred
from orchestrator.approvals.rejections import keep_refusal, now_for, too_long, unknown
from orchestrator.approvals.views import view
from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import approvals, runs
from orchestrator.store.tables import AnswerRow, ApprovalRow

Answer = Literal["approve", "decline"]
Via = Literal["api", "email", "slack"]


async def list_approvals(
    rt: Runtime,
    *,
    state: str | None = None,
    run_id: str | None = None,
    review: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Questions, newest first. Raises Invalid for a bad cursor or limit."""
    chosen = {"state": state, "run_id": run_id, "review": review}
    async with rt.store.read() as session:
        rows = await approvals.page(session, after=after(cursor), limit=bounded(limit), **chosen)
        given = await approvals.answers(session, [row.id for row, _ in rows])
    items = [
        view(row, run, [answer for answer in given if answer.approval_id == row.id])
        for row, run in rows
    ]
    return page(items, limit, (rows[-1][0].asked_at, rows[-1][0].id) if rows else None)


async def get_approval(rt: Runtime, approval_id: str) -> dict[str, Any]:
    """One question. Raises NotFound."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        run = await runs.get(session, row.run_id) if row else None
        if row is None or run is None:
            raise unknown(approval_id)
        return view(row, run, await approvals.answers(session, [row.id]))


async def decide(
    rt: Runtime,
    client: Client | None,
    approval_id: str,
    principal: Principal,
    decision: Answer,
    digest: str,
    comment: str = "",
    changes: Sequence[str] | None = None,
    form: dict[str, Any] | None = None,
    via: Via = "api",
) -> dict[str, Any]:
    """One person's answer. `changes`: digests of those that may be made, None for all. The approval as it stands afterwards.

    Raises NotFound, Forbidden (may not), Conflict (decided, late, second answer, other digest), Invalid (form, choice); each refusal is
    in the trail. The answer holds even when Temporal is down: the sweeper delivers it.
    """
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        given = await approvals.answers(session, [approval_id])
        answer = AnswerRow(
            approval_id=approval_id,
            person=principal.person,
            key_id=principal.key_id,
            decision=decision,
            comment=comment,
            via=via,
            at=now_for(rt.clock(), row, given),
        )
        refused = await _may_not(session, row, principal, answer)
        if refused is None and row is not None:
            refused = _stale(row, counted(given), answer, digest) or _misfit(
                row, answer, changes, form
            )
        if refused is not None or row is None:
            error = refused or unknown(approval_id)
            await keep_refusal(
                session,
                principal,
                approval_id,
                row,
                error,
                answer.at,
                decision=decision,
                digest=digest,
                via=via,
            )
        else:
            await _keep(session, row, counted(given), answer)
    if refused is not None:
        raise refused
    if client is not None and row is not None and row.state != "pending":
        await deliver(rt, client, approval_id)
    return await get_approval(rt, approval_id)


async def _may_not(
    session: AsyncSession, row: ApprovalRow | None, principal: Principal, answer: AnswerRow
) -> TocsinError | None:
    """Why this person's answer does not count, whatever it says; who may not answer learns nothing of the question's state."""
    if not principal.may(Permission.APPROVAL_DECIDE):
        return Forbidden(
            f"{principal.person} may not decide approvals; it takes the permission {Permission.APPROVAL_DECIDE}"
        )
    if row is None:
        return unknown(answer.approval_id)
    if row.by_group is not None and row.by_group not in principal.groups:
        return Forbidden(f"{principal.person} is not in {row.by_group}, whose question this is")
    if (
        answer.decision != "decline"
        and row.kind == "change"
        and (did := await barred(session, row.run_id, principal.person))
    ):
        return Forbidden(
            f"{principal.person} {did}, and may decline its changes, but not approve them; somebody else has to"
        )
    return None


def _stale(
    row: ApprovalRow, before: Sequence[AnswerRow], answer: AnswerRow, digest: str
) -> TocsinError | None:
    if any(one_person(other.person) == one_person(answer.person) for other in before):
        return Conflict(
            f"{answer.person} has answered already; take that answer back first, as long as it can be"
        )
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
    row: ApprovalRow, answer: AnswerRow, changes: Sequence[str] | None, form: dict[str, Any] | None
) -> TocsinError | None:
    if answer.decision not in {"approve", "decline"}:
        return Invalid("decision: give approve or decline")
    if error := too_long(answer.comment):
        return error
    if (form is not None and row.kind != "form") or (changes is not None and row.kind != "change"):
        return Invalid(
            f"this question is about a {row.kind}; leave `{'form' if form is not None else 'changes'}` out"
        )
    if answer.decision == "decline":
        return None
    try:
        if row.kind == "form":
            answer.form = fitting_form(row.form or {}, form)
        elif (
            choice := fitting_choice([change["digest"] for change in row.changes], changes)
        ) is not None:
            answer.form = {"changes": choice}
    except Invalid as error:
        return error
    return None


async def _keep(
    session: AsyncSession, row: ApprovalRow, before: Sequence[AnswerRow], answer: AnswerRow
) -> None:
    """Any decline ends it; otherwise the quorum does."""
    await approvals.answer(session, answer)
    agreeing = sum(other.decision == "approve" for other in [*before, answer])
    if answer.decision == "decline":
        row.state = "declined"
    elif agreeing >= row.quorum:
        row.state = "approved"
    if row.state != "pending":
        row.decided_at, row.remind_at = answer.at, None
        await outbox.tell(session, row, "closed", answer.at)
    told = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "decision": answer.decision,
        "comment": answer.comment,
        "key": answer.key_id,
        "via": answer.via,
        "chosen": answer.form,
        "state": row.state,
        "agreeing": agreeing,
        "quorum": row.quorum,
    }
    actor = f"person:{answer.person}"
    await trail.record(
        session,
        EventKind.APPROVAL_DECIDED,
        actor=actor,
        subject=row.id,
        data=masked(told),
        now=answer.at,
    )
