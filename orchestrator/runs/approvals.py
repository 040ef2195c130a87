"""Who may answer which question, and what comes of it? Checked and kept in one transaction; the run hears of it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit import trail
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound, TocsinError
from orchestrator.domain.masking import masked
from orchestrator.engine.decision import decision_of
from orchestrator.runs.answers import fitting_choice, fitting_form
from orchestrator.runs.paging import after, bounded, page, said
from orchestrator.runtime import Runtime
from orchestrator.store import approvals, runs
from orchestrator.store.tables import AnswerRow, ApprovalRow, RunRow

_log = structlog.get_logger(__name__)

DELIVERY_SECONDS = 2.0
"""How long the run may take to hear of a decision before it is left to the sweeper."""
MAX_COMMENT = 4000
Answer = Literal["approve", "decline"]


async def list_approvals(
    rt: Runtime, *, state: str | None = None, run_id: str | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Questions, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await approvals.page(session, after=after(cursor), limit=bounded(limit), state=state, run_id=run_id)
        given = await approvals.answers(session, [row.id for row, _ in rows])
    items = [_view(row, run, [answer for answer in given if answer.approval_id == row.id]) for row, run in rows]
    return page(items, limit, (rows[-1][0].asked_at, rows[-1][0].id) if rows else None)


async def get_approval(rt: Runtime, approval_id: str) -> dict[str, Any]:
    """One question. Raises NotFound."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        run = await runs.get(session, row.run_id) if row else None
        if row is None or run is None:
            raise NotFound(f"there is no approval {approval_id}")
        return _view(row, run, await approvals.answers(session, [row.id]))


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
) -> dict[str, Any]:
    """One person's answer. `changes`: digests of those that may be made, None for all. The approval as it stands afterwards.

    Raises NotFound, Forbidden (may not), Conflict (decided, late, second answer, other digest), Invalid (form, choice); each refusal is
    in the trail. The answer holds even when Temporal is down: the sweeper delivers it.
    """
    answer = AnswerRow(
        approval_id=approval_id, person=principal.person, key_id=principal.key_id, decision=decision, comment=comment, at=rt.clock()
    )
    async with rt.store.write() as session:
        row = await approvals.get(session, approval_id, lock=True)
        before = await approvals.answers(session, [approval_id])
        refused = _refusal(row, before, principal, answer, digest, changes, form)
        if refused is not None or row is None:
            await _record_refusal(session, answer, row, digest, refused)
        else:
            await _keep(session, row, before, answer)
    if refused is not None:
        raise refused
    if client is not None and row is not None and row.state != "pending":
        await deliver(rt, client, approval_id)
    return await get_approval(rt, approval_id)


async def deliver(rt: Runtime, client: Client, approval_id: str) -> bool:
    """Tells the waiting run what was decided. Whether it knows, or nobody waits any more; never raises for Temporal's sake."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        if row is None or row.state not in {"approved", "declined"}:
            return False
        decision = decision_of(row, await approvals.answers(session, [row.id]))
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            handle = client.get_workflow_handle(row.workflow_id)
            await handle.execute_update("decide", decision, id=f"decision-{row.id}")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            _log.warning("a decision could not be delivered yet", approval=row.id, status=error.status.name)
            return False
    except (TimeoutError, RuntimeError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        _log.warning("a decision could not be delivered yet", approval=row.id, reason=type(error).__name__)
        return False
    async with rt.store.write() as session:
        await approvals.mark_delivered(session, approval_id)
    return True


def _refusal(
    row: ApprovalRow | None,
    before: Sequence[AnswerRow],
    principal: Principal,
    answer: AnswerRow,
    digest: str,
    changes: Sequence[str] | None,
    form: dict[str, Any] | None,
) -> TocsinError | None:
    """Why the answer does not count; who may not answer learns nothing of the question's state. Puts what fits into the answer."""
    if not principal.may(Permission.APPROVAL_DECIDE):
        return Forbidden(f"{principal.person} may not decide approvals; it takes the permission {Permission.APPROVAL_DECIDE}")
    if row is None:
        return NotFound(f"there is no approval {answer.approval_id}")
    if row.by_group is not None and row.by_group not in principal.groups:
        return Forbidden(f"{principal.person} is not in {row.by_group}, whose question this is")
    return _stale(row, before, answer, digest) or _misfit(row, answer, changes, form)


def _stale(row: ApprovalRow, before: Sequence[AnswerRow], answer: AnswerRow, digest: str) -> TocsinError | None:
    if any(other.person == answer.person for other in before):
        return Conflict(f"{answer.person} has answered already; an answer cannot be changed")
    if row.state != "pending":
        return Conflict(f"approval {row.id} is {row.state} already")
    if row.expires_at <= answer.at:
        return Conflict(f"approval {row.id} could be answered until {said(row.expires_at)}")
    if digest != row.digest:
        return Conflict(f"the digest is not that of approval {row.id}; read it again, and decide on what it says now")
    return None


def _misfit(row: ApprovalRow, answer: AnswerRow, changes: Sequence[str] | None, form: dict[str, Any] | None) -> TocsinError | None:
    if answer.decision not in {"approve", "decline"}:
        return Invalid("decision: give approve or decline")
    if len(answer.comment) > MAX_COMMENT:
        return Invalid(f"comment: at most {MAX_COMMENT} characters")
    if (form is not None and row.kind != "form") or (changes is not None and row.kind != "change"):
        return Invalid(f"this question is about a {row.kind}; leave `{'form' if form is not None else 'changes'}` out")
    if answer.decision == "decline":
        return None
    try:
        if row.kind == "form":
            answer.form = fitting_form(row.form or {}, form)
        elif (choice := fitting_choice([change["digest"] for change in row.changes], changes)) is not None:
            answer.form = {"changes": choice}
    except Invalid as error:
        return error
    return None


async def _keep(session: AsyncSession, row: ApprovalRow, before: Sequence[AnswerRow], answer: AnswerRow) -> None:
    """Any decline ends it; otherwise the quorum does."""
    await approvals.answer(session, answer)
    agreeing = sum(other.decision == "approve" for other in [*before, answer])
    if answer.decision == "decline":
        row.state, row.decided_at = "declined", answer.at
    elif agreeing >= row.quorum:
        row.state, row.decided_at = "approved", answer.at
    told = {
        "approval": row.id,
        "run": row.run_id,
        "path": row.path,
        "digest": row.digest,
        "decision": answer.decision,
        "comment": answer.comment,
        "key": answer.key_id,
        "chosen": answer.form,
        "state": row.state,
        "agreeing": agreeing,
        "quorum": row.quorum,
    }
    await _tell(session, EventKind.APPROVAL_DECIDED, answer, told)


async def _record_refusal(
    session: AsyncSession, answer: AnswerRow, row: ApprovalRow | None, digest: str, error: TocsinError | None
) -> None:
    told = {
        "approval": answer.approval_id,
        "run": row.run_id if row else None,
        "decision": answer.decision,
        "digest": digest,
        "key": answer.key_id,
        "reason": str(error),
    }
    await _tell(session, EventKind.APPROVAL_REFUSED, answer, told)


async def _tell(session: AsyncSession, kind: EventKind, answer: AnswerRow, told: dict[str, Any]) -> None:
    actor = f"person:{answer.person}"
    await trail.record(session, kind, actor=actor, subject=answer.approval_id, data=masked(told), now=answer.at)


def _view(row: ApprovalRow, run: RunRow, given: Sequence[AnswerRow]) -> dict[str, Any]:
    return {
        "id": row.id,
        "digest": row.digest,
        "kind": row.kind,
        "question": row.question,
        "receipts": [_receipt(change) for change in row.changes],
        "form": row.form,
        "run_id": row.run_id,
        "path": row.path,
        "playbook": run.playbook,
        "version": run.version,
        "incident_id": run.incident_id,
        "by": row.by_group,
        "quorum": row.quorum,
        "answers": [_answer(answer) for answer in given],
        "state": row.state,
        "reasons": row.reasons,
        "escalated": row.escalated,
        "asked_at": said(row.asked_at),
        "expires_at": said(row.expires_at),
        "decided_at": said(row.decided_at),
    }


def _receipt(change: dict[str, Any]) -> dict[str, Any]:
    """What is to be changed, as a person sees it before agreeing."""
    receipt = change["receipt"]
    return {
        "connection": change["connection"],
        "connector": change["connector"],
        "action": change["action"],
        "effect": change["effect"],
        "input": masked(change["input"]),
        "target": receipt["target"],
        "summary": receipt["summary"],
        "changed": receipt["changed"],
        "digest": change["digest"],
        "receipt": masked(receipt),
    }


def _answer(answer: AnswerRow) -> dict[str, Any]:
    return {"person": answer.person, "decision": answer.decision, "comment": answer.comment, "form": answer.form, "at": said(answer.at)}
