"""The activities `ask`, `read_answer` and `close_approval`: put a question to people, hear them, and end it when its time is up."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.approvals.decision_reply import decision_of
from orchestrator.audit import trail
from orchestrator.contracts.messages import Activity, AnswerReply, AskReply, AskRequest, Decision
from orchestrator.domain.approval import approval_digest, moment, next_reminder
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.domain.run import RunStatus
from orchestrator.engine.activities.step_records import step_event
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.notifications import outbox
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, runs
from orchestrator.store.tables import ApprovalRow

_OVER = {"withdrawn", "void", "expired"}
"""States in which no run waits for the answer; a declined or an approved one may just not have been heard of."""


class Asking:
    """The answer is kept in the store first; the workflow hears of it afterwards."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.ASK)
    async def ask(self, request: AskRequest) -> AskReply:
        """Puts the question; the same one again (after a crash) is the same approval. Raises Unavailable."""
        with told_to_workflow():
            now = self._rt.clock()
            run = request.ref.run
            async with self._rt.store.write() as session:
                row = await _named(
                    session, _row(request, now, activity.info().workflow_id or ""), request.replaces
                )
                row["remind_at"] = await _first_reminder(session, row)
                new = await approvals.ask(session, row)
                asked = await approvals.get(session, row["id"])
                if asked is None:
                    raise Rejected(f"approval {row['id']} is gone; approvals are never deleted")
                if new:
                    told = {**_told(row), "replaces": request.replaces}
                    await trail.record_all(
                        session,
                        [step_event(request.ref, EventKind.APPROVAL_ASKED, told, now, row["id"])],
                    )
                    await outbox.tell(
                        session, asked, "escalated" if request.escalated else "asked", now
                    )
                if request.replaces is not None:
                    await _void(session, request, asked, now)
                if asked.state == "pending":
                    await runs.set_status(session, run.run_id, run.attempt, RunStatus.WAITING)
            return AskReply(approval_id=asked.id, digest=asked.digest, expires_at=asked.expires_at)

    @activity.defn(name=Activity.CLOSE_APPROVAL)
    async def close_approval(self, approval_id: str) -> Decision:
        """Ends the question as expired, unless it is decided; what it came to."""
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                row = await _locked(session, approval_id)
                if row.state == "pending":
                    await _expire(session, row, now)
                return await _heard(session, row)

    @activity.defn(name=Activity.READ_ANSWER)
    async def read_answer(self, approval_id: str) -> AnswerReply:
        """What people decided, if they have: from their answers in the store, and from nothing that the run was told."""
        with told_to_workflow():
            async with self._rt.store.write() as session:
                row = await _locked(session, approval_id)
                return AnswerReply(
                    decision=None if row.state == "pending" else await _heard(session, row)
                )


async def _locked(session: AsyncSession, approval_id: str) -> ApprovalRow:
    """Raises Rejected."""
    row = await approvals.get(session, approval_id, lock=True)
    if row is None:
        raise Rejected(f"there is no approval {approval_id}")
    return row


async def _heard(session: AsyncSession, row: ApprovalRow) -> Decision:
    """The decision, of which the run knows from now on."""
    row.delivered = True
    await _run_goes_on(session, row.run_id)
    return decision_of(row, await approvals.answers(session, [row.id]))


async def _expire(session: AsyncSession, row: ApprovalRow, clock: datetime) -> None:
    now = moment(clock, row.asked_at)
    row.state, row.decided_at, row.remind_at = "expired", now, None
    await outbox.tell(session, row, "closed", now)
    told = {"approval": row.id, "digest": row.digest, "expires_at": row.expires_at}
    id_ = trail.event_id(row.id, EventKind.APPROVAL_EXPIRED)
    await trail.record(
        session,
        EventKind.APPROVAL_EXPIRED,
        actor="system",
        subject=row.id,
        data=told,
        now=now,
        event_id=id_,
    )


async def _named(
    session: AsyncSession, row: dict[str, Any], replaces: str | None
) -> dict[str, Any]:
    """The question under the first name that belongs to none which is over: that one is asked anew, not found again."""
    name: str = row["id"]
    while (known := await approvals.get(session, name)) is not None and (
        known.state in _OVER or name == replaces
    ):
        name = f"apr_{digest(name)[:32]}"
    return {**row, "id": name}


async def _first_reminder(session: AsyncSession, row: dict[str, Any]) -> datetime | None:
    every = (await policy_in_force(session)).policy.approvals.remind_every
    return next_reminder(row["asked_at"], row["asked_at"], row["expires_at"], every, 0)


async def _void(
    session: AsyncSession, request: AskRequest, asked: ApprovalRow, now: datetime
) -> None:
    """The approval that this question replaces holds no more: what it was about is another change by now, or too few were asked."""
    old = await approvals.get(session, request.replaces or "", lock=True)
    if (
        old is None
        or old.run_id != asked.run_id
        or old.id == asked.id
        or old.state not in {"approved", "pending"}
    ):
        return
    # A pending one cannot be answered any more either: the run waits for the new one.
    old.state, old.replaced_by, old.remind_at, old.delivered = "void", asked.id, None, True
    old.decided_at = old.decided_at or now
    told = {
        "approval": old.id,
        "digest": old.digest,
        "replaced_by": asked.id,
        "replaced_by_digest": asked.digest,
    }
    await trail.record_all(
        session, [step_event(request.ref, EventKind.APPROVAL_VOIDED, told, now, old.id)]
    )
    await outbox.tell(session, old, "closed", now)


async def _run_goes_on(session: AsyncSession, run_id: str) -> None:
    """Running again, unless another branch of it still waits for people."""
    run = await runs.get(session, run_id)
    await session.flush()
    if (
        run is not None
        and run.status == RunStatus.WAITING
        and not await approvals.pending_of_run(session, run_id)
    ):
        run.status = RunStatus.RUNNING


def _row(request: AskRequest, now: datetime, workflow_id: str) -> dict[str, Any]:
    run, path = request.ref.run, request.ref.path
    changes = [
        {**change.model_dump(mode="json"), "digest": change.digest} for change in request.changes
    ]
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
        changes=[change["digest"] for change in changes],
        form=form,
    )
    name = digest(
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
        "id": f"apr_{name[:32]}",
        "run_id": run.run_id,
        "workflow_id": workflow_id,
        "delivered": False,
        "path": path,
        "kind": request.kind,
        "question": request.question,
        "changes": changes,
        "form": form,
        "digest": asked,
        "by_group": request.by,
        "quorum": request.quorum,
        "state": "pending",
        "reasons": list(request.reasons),
        "escalated": request.escalated,
        "level": request.level,
        "asked_at": now,
        "expires_at": now + timedelta(seconds=request.within),
    }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "id",
        "digest",
        "question",
        "changes",
        "form",
        "by_group",
        "quorum",
        "reasons",
        "expires_at",
        "escalated",
        "level",
    )
    return {name: row[name] for name in kept}
