"""The activities `ask`, `read_decision`, `close_approval`: open, look up, expire approvals."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.approvals.batches.join import batch_of
from orchestrator.approvals.decision_reply import decision_of
from orchestrator.audit import trail
from orchestrator.contracts.approval import (
    AskedChange,
    AskReply,
    AskRequest,
    Decision,
    DecisionReply,
)
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import StepRecord
from orchestrator.domain.approval import ApprovalState, approval_digest, next_reminder, not_before
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.domain.notification import NotificationKind
from orchestrator.domain.run import APPROVAL_STEP, RunStatus, StepState, WaitingForApproval
from orchestrator.engine.activities.start_checks import check_current
from orchestrator.engine.activities.step_records import begin_steps, step_event, step_row
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, runs, steps
from orchestrator.store.tables import ApprovalRow

_AUDITED = (
    "id",
    "digest",
    "question",
    "changes",
    "form",
    "evidence",
    "by_group",
    "quorum",
    "condition",
    "reasons",
    "expires_at",
    "escalated",
    "level",
    "batch",
)
"""Fields of an approval in the event that it was asked."""


class AskPeople:
    """The store is written first; the workflow is notified afterwards."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.ASK)
    async def ask(self, request: AskRequest) -> AskReply:
        """Open an approval. Repeated after a crash, return the same one. Raise Unavailable."""
        with translate_errors():
            now = self._rt.clock()
            run = request.ref.run
            async with self._rt.store.write() as session:
                await check_current(session, run)
                row = await self._add(session, request, now)
                if request.replaces is not None:
                    await _replace(session, request, row, now)
                await begin_steps(session, request.begun, now)
                if row.state is ApprovalState.PENDING:
                    await _wait_for(session, request, row, now)
                    await runs.set_status(session, run.run_id, run.attempt, RunStatus.WAITING)
            return AskReply(approval_id=row.id, digest=row.digest, expires_at=row.expires_at)

    @activity.defn(name=Activity.CLOSE_APPROVAL)
    async def close_approval(self, approval_id: str) -> Decision:
        """Expire the approval, unless it is decided; return the decision."""
        with translate_errors():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                row = await _lock(session, approval_id)
                if row.state is ApprovalState.PENDING:
                    await _expire(session, row, now)
                return await _deliver(session, row)

    @activity.defn(name=Activity.READ_DECISION)
    async def read_decision(self, approval_id: str) -> DecisionReply:
        """Return the decision, if there is one, from the decisions in the store."""
        with translate_errors():
            async with self._rt.store.write() as session:
                row = await _lock(session, approval_id)
                is_open = row.state is ApprovalState.PENDING
                return DecisionReply(decision=None if is_open else await _deliver(session, row))

    async def _add(self, session: AsyncSession, request: AskRequest, now: datetime) -> ApprovalRow:
        workflow_id = activity.info().workflow_id or ""
        row = _row(request, now, workflow_id)
        if (unheard := await approvals.find_unheard(session, row)) is not None:
            unheard.workflow_id = workflow_id  # of the attempt that reads it now
            return unheard
        row = await _with_free_id(session, row, request.replaces)
        row["remind_at"] = await _first_reminder(session, row)
        row["batch"] = await batch_of(session, row, self._rt.settings.join_questions_within)
        is_new = await approvals.add(session, row)
        approval = await approvals.get(session, row["id"])
        if approval is None:
            raise Rejected(f"approval {row['id']} is gone; approvals are never deleted")
        if is_new:
            data = {**{name: row[name] for name in _AUDITED}, "replaces": request.replaces}
            event = step_event(request.ref, EventKind.APPROVAL_ASKED, data, now, row["id"])
            await trail.record_all(session, [event])
            kind = NotificationKind.ESCALATED if request.escalated else NotificationKind.ASKED
            await outbox.notify_approvers(session, approval, kind, now)
        return approval


async def _lock(session: AsyncSession, approval_id: str) -> ApprovalRow:
    """Return the approval, locked. Raise Rejected."""
    row = await approvals.get(session, approval_id, lock=True)
    if row is None:
        raise Rejected(f"approval {approval_id} does not exist")
    return row


async def _deliver(session: AsyncSession, row: ApprovalRow) -> Decision:
    """Return the decision, which the run knows from now on."""
    row.delivered = True
    step = await steps.get(session, row.run_id, row.path)
    if step is not None and step.kind == APPROVAL_STEP:
        step.end_approval(row.state, row.decided_at or row.asked_at)
    elif step is not None:
        step.resume()
    await _resume_run(session, row.run_id)
    return decision_of(row, await approvals.list_decisions(session, [row.id]))


async def _wait_for(
    session: AsyncSession, request: AskRequest, row: ApprovalRow, now: datetime
) -> None:
    """Record that the step waits. Without a step, the approval is shown as one of its own."""
    ref = request.ref
    waiting = WaitingForApproval(approval_id=row.id, expires_at=row.expires_at)
    if not await steps.wait_for(session, ref.run.run_id, ref.path, waiting):
        record = StepRecord(
            ref=ref, kind=APPROVAL_STEP, state=StepState.WAITING, waiting_for=waiting
        )
        await steps.save(session, [step_row(record, now)])


async def _expire(session: AsyncSession, row: ApprovalRow, clock: datetime) -> None:
    now = not_before(clock, row.asked_at)
    row.expire(now)
    await outbox.close_notifications(session, row.id, now)
    data = {"approval": row.id, "digest": row.digest, "expires_at": row.expires_at}
    await trail.record(
        session,
        EventKind.APPROVAL_EXPIRED,
        actor="system",
        subject=row.id,
        data=data,
        now=now,
        event_id=trail.event_id(row.id, EventKind.APPROVAL_EXPIRED),
    )


async def _with_free_id(
    session: AsyncSession, row: dict[str, Any], replaces: str | None
) -> dict[str, Any]:
    """Return the row with the first id that no approval has which is over.

    What was asked in an approval that is over is asked again under a new id.
    """
    id_: str = row["id"]
    while (known := await approvals.get(session, id_)) is not None and (
        known.state.is_over or id_ == replaces
    ):
        id_ = f"apr_{digest(id_)[:32]}"
    return {**row, "id": id_}


async def _first_reminder(session: AsyncSession, row: dict[str, Any]) -> datetime | None:
    every = (await load_policy(session)).policy.approvals.remind_every
    return next_reminder(row["asked_at"], row["asked_at"], row["expires_at"], every, 0)


async def _replace(
    session: AsyncSession, request: AskRequest, asked: ApprovalRow, now: datetime
) -> None:
    """Void the approval that this one replaces: its change differs, or its quorum is too low."""
    old = await approvals.get(session, request.replaces or "", lock=True)
    if (
        old is None
        or old.run_id != asked.run_id
        or old.id == asked.id
        or not old.state.can_be_replaced
    ):
        return
    old.replace(asked.id, now)
    data = {
        "approval": old.id,
        "digest": old.digest,
        "replaced_by": asked.id,
        "replaced_by_digest": asked.digest,
    }
    event = step_event(request.ref, EventKind.APPROVAL_VOIDED, data, now, old.id)
    await trail.record_all(session, [event])
    await outbox.close_notifications(session, old.id, now)


async def _resume_run(session: AsyncSession, run_id: str) -> None:
    """Set the run to running, unless another branch still waits for people."""
    run = await runs.get(session, run_id)
    await session.flush()
    if (
        run is not None
        and run.status == RunStatus.WAITING
        and not await approvals.count_pending(session, run_id)
    ):
        run.status = RunStatus.RUNNING


def _change(asked: AskedChange) -> dict[str, Any]:
    """Return a change as an approval stores it: with its digest, its lease, and the verdict."""
    return {
        **asked.change.model_dump(mode="json"),
        "digest": asked.change.digest,
        "hold_seconds": asked.hold_seconds,
        "verdict": asked.verdict.model_dump(mode="json"),
    }


def _row(request: AskRequest, now: datetime, workflow_id: str) -> dict[str, Any]:
    run, path = request.ref.run, request.ref.path
    changes = [_change(asked) for asked in request.changes]
    evidence = [row.model_dump(mode="json") for row in request.evidence]
    form = (
        {name: field.model_dump(mode="json") for name, field in request.form.items()}
        if request.form is not None
        else None
    )
    asked = approval_digest(
        run_id=run.run_id,
        plan_digest=run.plan_digest,
        path=path,
        question=request.question,
        changes={change["digest"]: change["hold_seconds"] for change in changes},
        form=form,
        evidence=evidence,
    )
    id_ = digest(
        [
            run.run_id,
            path,
            run.attempt,
            request.ref.seq,
            request.kind,
            asked,
            request.by,
            request.quorum,
            request.level,
        ]
    )
    return {
        "id": f"apr_{id_[:32]}",
        "run_id": run.run_id,
        "workflow_id": workflow_id,
        "delivered": False,
        "path": path,
        "kind": request.kind,
        "question": request.question,
        "changes": changes,
        "form": form,
        "evidence": evidence,
        "digest": asked,
        "by_group": request.by,
        "quorum": request.quorum,
        "state": ApprovalState.PENDING,
        "condition": request.condition,
        "reasons": list(request.reasons),
        "escalated": request.escalated,
        "level": request.level,
        "asked_at": now,
        "expires_at": now + timedelta(seconds=request.within),
    }
