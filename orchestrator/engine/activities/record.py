"""The activities `begin`, `record`, `end` and `list_events`: the run's own records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.approval import BeginReply
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import (
    EventsReply,
    EventsRequest,
    RunContext,
    RunEnd,
    StepRecord,
)
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.domain.run import RunStatus, StepFailure, StepState
from orchestrator.engine.activities.start_checks import (
    execution_of,
    is_own_execution,
    start_question,
    start_refusal,
)
from orchestrator.engine.activities.step_records import begin_steps, step_event, step_row
from orchestrator.engine.temporal.errors import translate_errors
from orchestrator.engine.temporal.own_workflow import record_foreign
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, approvals, containments, effects, runs, steps

MAX_EVENTS = 100

_KINDS = {
    StepState.DONE: EventKind.STEP_DONE,
    StepState.VERIFIED: EventKind.STEP_DONE,
    StepState.SKIPPED: EventKind.STEP_SKIPPED,
    StepState.UNDETERMINED: EventKind.STEP_SKIPPED,
    StepState.FAILED: EventKind.STEP_FAILED,
    StepState.REFUSED: EventKind.STEP_FAILED,
    StepState.DECLINED: EventKind.STEP_FAILED,
}


class RecordRun:
    """Uses nothing but the store."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.BEGIN)
    async def begin(self, run: RunContext) -> BeginReply:
        """Record that the run begins, and return what people are asked first.

        Raise Rejected when its version is not the one that was published and signed.
        """
        with translate_errors():
            now = self._rt.clock()
            asked = None
            async with self._rt.store.write() as session:
                refusal = await start_refusal(session, self._rt.settings, run, now)
                if refusal is None:
                    await runs.begin(session, run.run_id, run.attempt, execution_of(run))
                    data = {"mode": run.mode, "started_by": run.started_by}
                    await _record(session, EventKind.RUN_STARTED, run, data, now)
                    asked = await start_question(session, run)
            if refusal is not None:  # after the commit, so that it is in the audit trail
                raise Rejected(refusal)
            return BeginReply(question=asked)

    @activity.defn(name=Activity.RECORD)
    async def record(self, records: list[StepRecord]) -> None:
        """Write the state of steps, and an event for each that ended."""
        if not records:
            return
        with translate_errors():
            now = self._rt.clock()
            events = [event for record in records if (event := _event(record, now))]
            async with self._rt.store.write() as session:
                begun = [record for record in records if record.state is StepState.RUNNING]
                others = [record for record in records if record.state is not StepState.RUNNING]
                await begin_steps(session, begun, now)
                await steps.save(session, [step_row(record, now) for record in others])
                await trail.record_all(session, events)
                await _end_approvals(session, others, now)
                await _set_waiting(session, records)

    @activity.defn(name=Activity.END)
    async def end(self, ended: RunEnd) -> RunStatus:
        """Record the end of the run: nothing waits any more, and idle leases are ended.

        Return how it ended, which is what was recorded first.
        """
        with translate_errors():
            now, run, status = self._rt.clock(), ended.run, ended.status
            async with self._rt.store.write() as session:
                if not await runs.end(
                    session, run.run_id, run.attempt, status, ended.error, now, execution_of(run)
                ):
                    # Recorded before; a later attempt may be running by now.
                    return await _recorded_end(session, ended, now)
                withdrawn = await approvals.end_with_run(session, run.run_id, now)
                await steps.interrupt_open(session, run.run_id, f"the run ended: {status}", now)
                await _end_idle_leases(session, run, now)
                await _free_once_key(session, run, status)
                for approval in withdrawn:
                    await outbox.close_notifications(session, approval.id, now)
                data = {
                    "status": status,
                    "error": ended.error,
                    "withdrawn": [approval.id for approval in withdrawn],
                }
                await _record(session, EventKind.RUN_ENDED, run, data, now)
            return status

    @activity.defn(name=Activity.LIST_EVENTS)
    async def list_events(self, request: EventsRequest) -> EventsReply:
        """Return the alerts that joined the run's incident since, oldest first.

        At most the newest 100 of them.
        """
        with translate_errors():
            run = request.run
            if run.incident_id is None:
                return EventsReply(alerts=())
            async with self._rt.store.read() as session:
                own = await runs.get_alert(session, run.run_id)
                joined = await runs.joined_alerts(
                    session, run.incident_id, request.since, own.id if own else None, MAX_EVENTS
                )
                return EventsReply(alerts=tuple(row.view for row in joined))


async def _recorded_end(session: AsyncSession, ended: RunEnd, now: datetime) -> RunStatus:
    """Return the end that was recorded before.

    Record where another workflow ended; the reconciler continues the run, if that was lost.
    """
    run = ended.run
    row = await runs.get(session, run.run_id)
    if row is not None and row.status.open and not is_own_execution(row, run):
        await record_foreign(session, run, now)
    is_other = row is None or row.status.open or row.attempt != run.attempt
    return ended.status if row is None or is_other else row.status


async def _set_waiting(session: AsyncSession, records: Sequence[StepRecord]) -> None:
    run = records[-1].ref.run
    if any(record.state is StepState.WAITING for record in records):
        await runs.set_status(session, run.run_id, run.attempt, RunStatus.WAITING)
    elif any(record.kind == "wait" for record in records):
        await runs.set_status(session, run.run_id, run.attempt, RunStatus.RUNNING)


async def _end_idle_leases(session: AsyncSession, run: RunContext, now: datetime) -> None:
    """End the leases of steps without a change; they would block other runs indefinitely."""
    actor, cause = f"run:{run.run_id}", LeaseEndReason.NOT_APPLIED
    for lease in await containments.live_leases_of_run(session, run.run_id):
        step = await steps.get(session, run.run_id, lease.path)
        if step is not None and not step.state.is_without_effect:
            continue
        if await effects.newest_in_force(session, run.run_id, lease.path) is not None:
            continue
        await containments.end_lease(session, lease.id, cause, actor, now)
        containment = await containments.lock(session, lease.containment_key)
        if containment and not await containments.count_live_leases(session, containment.key):
            containment.retry_at = now
        data = {
            "path": lease.path,
            "containment": lease.containment_key,
            "cause": cause,
            "reason": cause.describe(actor),
        }
        await _record(session, EventKind.LEASE_ENDED, run, data, now, lease.path)


async def _free_once_key(session: AsyncSession, run: RunContext, status: RunStatus) -> None:
    """Free the key of a run that ended with nothing in force, so that the next alert starts one.

    A run that completed did what it was for, and keeps its key.
    """
    if status is RunStatus.COMPLETED:
        return
    remaining = await effects.in_force_of_run(session, run.run_id)
    if all(row.change["effect"] == Effect.NOTIFY for row in remaining):
        await alerts.free(session, run.run_id)


async def _record(
    session: AsyncSession,
    kind: EventKind,
    run: RunContext,
    data: Mapping[str, Any],
    now: datetime,
    *parts: object,
) -> None:
    context = {
        "attempt": run.attempt,
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
    }
    await trail.record(
        session,
        kind,
        actor=f"run:{run.run_id}",
        subject=run.run_id,
        data={**context, **data},
        now=now,
        event_id=trail.event_id(run.run_id, run.attempt, kind, *parts),
    )


def _event(record: StepRecord, now: datetime) -> Event | None:
    kind = _KINDS.get(record.state)
    if kind is None:
        return None
    data = {
        "step": record.kind,
        "state": record.state,
        "error": record.error,
        "result": record.result,
    }
    content = digest([record.result, record.error])
    return step_event(record.ref, kind, data, now, "record", record.state, content)


async def _end_approvals(session: AsyncSession, records: list[StepRecord], now: datetime) -> None:
    """End the approvals of steps that timed out: no one reads their decision any more."""
    for record in records:
        if record.failure is StepFailure.TIMED_OUT:
            run_id, path = record.ref.run.run_id, record.ref.path
            for approval in await approvals.end_with_run(session, run_id, now, within=path):
                await outbox.close_notifications(session, approval.id, now)
