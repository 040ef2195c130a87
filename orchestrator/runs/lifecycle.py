"""Runs started, cancelled and retried by people."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import DEBUG, Mode, RunStatus
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.plan import Plan
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lost import carry_out_cancel
from orchestrator.runs.queries import get_run
from orchestrator.runs.views import RunDetails
from orchestrator.runtime import Runtime
from orchestrator.store.queries import alerts, incidents, runs
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow
from orchestrator.tracing.process import trace_position

ENDED_EARLY = {RunStatus.FAILED, RunStatus.ROLLED_BACK, RunStatus.CANCELLED, RunStatus.DECLINED}
RETRYABLE = ENDED_EARLY | {RunStatus.DEFERRED}


async def start_run(
    rt: Runtime,
    client: Client | None,
    playbook: str,
    *,
    version: int | None = None,
    inputs: dict[str, Any] | None = None,
    alert_id: str | None = None,
    mode: Mode = Mode.LIVE,
    actor: str,
) -> RunDetails:
    """Start a playbook on an alert or on inputs. `version` None: the newest live one.

    Raise NotFound, Invalid (inputs), Conflict (retired, or without the alert that it needs).
    """
    async with rt.store.write() as session:
        row = await _playbook(session, playbook, version)
        plan = Plan.model_validate(row.plan)
        accepted = accept_inputs(plan.inputs, inputs or {})
        alert = await _alert(session, alert_id) if alert_id else None
        if plan.trigger is not None and alert is None:
            raise Conflict(f"{playbook} runs on an alert; give the id of one")
        run = _run(row, rt, accepted, alert, mode, actor)
        await runs.add(session, run)
        data = {
            "playbook": run.playbook,
            "version": run.version,
            "playbook_digest": run.plan_digest,
            "mode": mode,
            "inputs": mask_secrets(accepted),
            "alert": alert_id,
        }
        await trail.record(
            session,
            EventKind.RUN_CREATED,
            actor=actor,
            subject=run.id,
            data=data,
            now=run.created_at,
        )
    if client is not None:
        await dispatch(rt, client, [run.id])
    return await get_run(rt, run.id)


async def cancel_run(rt: Runtime, client: Client | None, run_id: str, *, actor: str) -> RunDetails:
    """Cancel a run; its changes are rolled back as its playbook says.

    The request is in the store: while Temporal is down, or has lost the run, the reconciler
    carries it out. Raise NotFound, Conflict (ended already).
    """
    now = rt.clock()
    async with rt.store.write() as session:
        run = await _unfinished_run(session, run_id)
        run.request_cancel(actor, now)
        data = {"attempt": run.attempt, "status": run.status}
        await trail.record(
            session, EventKind.RUN_CANCEL_REQUESTED, actor=actor, subject=run_id, data=data, now=now
        )
        if not run.dispatched:
            # After a crash before the mark Temporal has it, and gets the signal below.
            run.cancel(f"cancelled by {actor} before it began", now)
            await alerts.free(session, run_id)
            end = {"status": RunStatus.CANCELLED, "attempt": run.attempt, "error": run.error}
            await trail.record(
                session, EventKind.RUN_ENDED, actor=actor, subject=run_id, data=end, now=now
            )
    if client is not None:
        await carry_out_cancel(rt, client, run)
    return await get_run(rt, run_id)


async def retry_run(rt: Runtime, client: Client | None, run_id: str, *, actor: str) -> RunDetails:
    """Continue a run from the step that failed, as its next attempt.

    Raise NotFound, Conflict (still open, completed, or a debug session's).
    """
    async with rt.store.write() as session:
        await reopen_run(session, run_id, actor, rt.clock())
    if client is not None:
        await dispatch(rt, client, [run_id])
    return await get_run(rt, run_id)


async def reopen_run(session: AsyncSession, run_id: str, actor: str, now: datetime) -> None:
    """Begin the next attempt of a run, or a deferred one. Raise NotFound, Conflict."""
    run = await runs.get(session, run_id, lock=True)
    if run is None:
        raise NotFound(f"run {run_id} does not exist")
    if objection := await retry_objection(session, run):
        raise Conflict(objection)
    before = {"status": run.status, "error": run.error}
    if run.status is RunStatus.DEFERRED:
        run.begin_deferred(now)
    else:
        run.retry()
    data = {"attempt": run.attempt, "before": before}
    await trail.record(
        session, EventKind.RUN_RETRIED, actor=actor, subject=run_id, data=data, now=now
    )


async def retry_objection(session: AsyncSession, run: RunRow) -> str | None:
    """Return why a run cannot be retried; None: it can."""
    if run.status not in RETRYABLE:
        return (
            f"run {run.id} is {run.status}; only a run that is {', '.join(sorted(RETRYABLE))} "
            "can be retried"
        )
    version = await runs.get_playbook(session, run.playbook, run.version)
    if version is not None and version.stage == DEBUG:
        return f"run {run.id} applied one step of a debug session that ended; start a new session"
    return None


async def _playbook(session: AsyncSession, name: str, version: int | None) -> PlaybookRow:
    row = await runs.get_playbook(session, name, version)
    if row is None:
        raise NotFound(
            f"playbook {name}{f' version {version}' if version else ''} does not exist"
            f"{'' if version else ' or is retired'}; see `tocsin playbook list`"
        )
    if row.retired:
        raise Conflict(f"{name} version {row.version} is retired; start another version")
    return row


async def _alert(session: AsyncSession, alert_id: str) -> AlertRow:
    alert = await incidents.get_alert(session, alert_id)
    if alert is None:
        raise NotFound(f"alert {alert_id} does not exist")
    return alert


def _run(
    row: PlaybookRow,
    rt: Runtime,
    inputs: dict[str, Any],
    alert: AlertRow | None,
    mode: Mode,
    actor: str,
) -> RunRow:
    return RunRow.begin(
        id=new_id("run"),
        playbook=row.name,
        version=row.version,
        plan_digest=row.digest,
        alert=alert,
        mode=mode,
        inputs=inputs,
        started_by=actor,
        now=rt.clock(),
        trace=trace_position(),
    )


async def _unfinished_run(session: AsyncSession, run_id: str) -> RunRow:
    run = await runs.get(session, run_id, lock=True)
    if run is None:
        raise NotFound(f"run {run_id} does not exist")
    if run.status.over:
        raise Conflict(f"run {run_id} is {run.status} already")
    return run
