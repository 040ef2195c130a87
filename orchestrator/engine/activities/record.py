"""The activities `begin`, `record`, `end` and `events`: how a run goes, as it is shown and audited; what else joined its incident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from orchestrator.audit import trail
from orchestrator.contracts.messages import (
    Activity,
    BeginReply,
    EventsReply,
    EventsRequest,
    RunContext,
    RunEnd,
    StepRecord,
)
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.domain.masking import masked
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.engine.activities.start_checks import question, refusal
from orchestrator.engine.activities.step_records import step_event
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.notifications import outbox
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, approvals, containments, effects, runs, steps

MOST_EVENTS = 100

_FINAL = {
    StepState.VERIFIED,
    StepState.DONE,
    StepState.SKIPPED,
    StepState.REFUSED,
    StepState.DECLINED,
    StepState.FAILED,
    StepState.UNDONE,
    StepState.RELEASED,
}
_KINDS = {
    StepState.DONE: EventKind.STEP_DONE,
    StepState.VERIFIED: EventKind.STEP_DONE,
    StepState.SKIPPED: EventKind.STEP_SKIPPED,
    StepState.FAILED: EventKind.STEP_FAILED,
    StepState.REFUSED: EventKind.STEP_FAILED,
    StepState.DECLINED: EventKind.STEP_FAILED,
}


class Recording:
    """Touches nothing but our own records."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.BEGIN)
    async def begin(self, run: RunContext) -> BeginReply:
        """The run has begun, or begins once people agree. Raises Rejected when its version is not what was published and signed."""
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                refused, asked = await refusal(session, self._rt.settings, run, now), None
                if refused is None:
                    await runs.set_status(session, run.run_id, run.attempt, RunStatus.RUNNING)
                    await _tell(
                        session,
                        EventKind.RUN_STARTED,
                        run,
                        {"mode": run.mode, "started_by": run.started_by},
                        now,
                    )
                    asked = await question(session, run)
            if refused is not None:  # said in the trail by then
                raise Rejected(refused)
            return BeginReply(question=asked)

    @activity.defn(name=Activity.RECORD)
    async def record(self, records: list[StepRecord]) -> None:
        """Writes steps as they stand, and an event for each that ended."""
        if not records:
            return
        with told_to_workflow():
            now = self._rt.clock()
            async with self._rt.store.write() as session:
                await steps.save(session, [_row(record, now) for record in records])
                await trail.record_all(
                    session, [event for record in records if (event := _event(record, now))]
                )
                await self._show_waiting(session, records)

    @activity.defn(name=Activity.END)
    async def end(self, ended: RunEnd) -> None:
        """The run is over: nothing of it waits any more, and leases of steps that never came to a change are ended."""
        with told_to_workflow():
            now, run = self._rt.clock(), ended.run
            async with self._rt.store.write() as session:
                if not await runs.set_status(
                    session, run.run_id, run.attempt, ended.status, error=ended.error, ended_at=now
                ):
                    return  # said before; a later attempt may be at work by now
                withdrawn = await approvals.withdraw(session, run.run_id, now)
                await steps.stop_waiting(
                    session, run.run_id, f"the run ended: {ended.status.value}", now
                )
                await _end_idle_leases(session, run, now)
                await _free_key(session, run)
                for question in withdrawn:
                    await outbox.tell(session, question, "closed", now)
                told = {
                    "status": ended.status,
                    "error": ended.error,
                    "withdrawn": [question.id for question in withdrawn],
                }
                await _tell(session, EventKind.RUN_ENDED, run, told, now)

    @activity.defn(name=Activity.EVENTS)
    async def events(self, request: EventsRequest) -> EventsReply:
        """Views of the alerts that joined the run's incident since, oldest first, the newest 100 of them."""
        with told_to_workflow():
            if request.run.incident_id is None:
                return EventsReply(alerts=())
            async with self._rt.store.read() as session:
                own = await runs.alert_of(session, request.run.run_id)
                joined = await runs.joined_alerts(
                    session,
                    request.run.incident_id,
                    request.since,
                    own.id if own else None,
                    MOST_EVENTS,
                )
                return EventsReply(alerts=tuple(row.view for row in joined))

    async def _show_waiting(self, session: AsyncSession, records: Sequence[StepRecord]) -> None:
        run = records[-1].ref.run
        if any(record.state is StepState.WAITING for record in records):
            await runs.set_status(session, run.run_id, run.attempt, RunStatus.WAITING)
        elif any(record.kind == "wait" for record in records):
            await runs.set_status(session, run.run_id, run.attempt, RunStatus.RUNNING)


async def _end_idle_leases(session: AsyncSession, run: RunContext, now: datetime) -> None:
    """A lease whose step was refused, declined or failed would otherwise hold other runs' containment for ever."""
    for lease in await containments.live_of_run(session, run.run_id):
        step = await steps.get(session, run.run_id, lease.path)
        idle = step is None or step.state in {
            StepState.REFUSED,
            StepState.DECLINED,
            StepState.FAILED,
            StepState.PLANNED,
            StepState.WAITING,
        }
        if idle and await effects.newest_in_force(session, run.run_id, lease.path) is None:
            await containments.end_lease(session, lease.id, "the step came to no change", now)
            told = {
                "path": lease.path,
                "containment": lease.containment_key,
                "reason": "the step came to no change",
            }
            await _tell(session, EventKind.LEASE_ENDED, run, told, now, lease.path)


async def _free_key(session: AsyncSession, run: RunContext) -> None:
    """A run that people did not let begin must not cover the next alert."""
    row = await runs.get(session, run.run_id)
    if (
        row is not None
        and row.over_limit is not None
        and not await approvals.begun(session, run.run_id)
    ):
        await alerts.free(session, run.run_id)


async def _tell(
    session: AsyncSession,
    kind: EventKind,
    run: RunContext,
    told: dict[str, Any],
    now: datetime,
    *more: object,
) -> None:
    data = {
        "attempt": run.attempt,
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
        **told,
    }
    id_ = trail.event_id(run.run_id, run.attempt, kind, *more)
    await trail.record(
        session,
        kind,
        actor=f"run:{run.run_id}",
        subject=run.run_id,
        data=data,
        now=now,
        event_id=id_,
    )


def _row(record: StepRecord, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "run_id": record.ref.run.run_id,
        "path": record.ref.path,
        "kind": record.kind,
        "state": record.state.value,
        "seq": record.ref.seq,
        "error": record.error,
        "started_at": now,
        "ended_at": now if record.state in _FINAL else None,
    }
    given = {
        "connection": record.connection,
        "action": record.action,
        "inputs": record.inputs,
        "result": record.result,
        "asked": record.asked,
    }
    return row | {name: masked(value) for name, value in given.items() if value is not None}


def _event(record: StepRecord, now: datetime) -> Event | None:
    kind = _KINDS.get(record.state)
    if kind is None:
        return None
    told = {
        "step": record.kind,
        "state": record.state,
        "error": record.error,
        "result": record.result,
    }
    return step_event(
        record.ref, kind, told, now, "record", record.state, digest([record.result, record.error])
    )
