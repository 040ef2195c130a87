"""How is a run started by hand, cancelled, or taken up again where it failed?"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, NotFound, Unavailable
from orchestrator.domain.masking import masked
from orchestrator.domain.run import DEBUG, Mode, RunStatus
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.plan import Plan
from orchestrator.runs.dispatch import dispatch, workflow_id
from orchestrator.runs.queries import get_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs
from orchestrator.store.tables import AlertRow, PlaybookRow, RunRow

RETRYABLE = {RunStatus.FAILED, RunStatus.ROLLED_BACK, RunStatus.CANCELLED, RunStatus.DECLINED}


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
) -> dict[str, Any]:
    """Starts a playbook by hand, on an alert or on inputs; None: its newest version. Raises NotFound, Invalid, Conflict (retired)."""
    async with rt.store.write() as session:
        row = await _playbook(session, playbook, version)
        plan = Plan.model_validate(row.plan)
        accepted = accept(plan.inputs, inputs or {})
        alert = await _alert(session, alert_id) if alert_id else None
        if plan.trigger is not None and alert is None:
            raise Conflict(f"{playbook} is written for an alert; give the id of one")
        run = _run(row, rt, accepted, alert, mode, actor)
        await runs.add(session, run)
        told = {
            "playbook": run.playbook,
            "version": run.version,
            "playbook_digest": run.plan_digest,
            "mode": mode,
            "inputs": masked(accepted),
            "alert": alert_id,
        }
        await trail.record(
            session,
            EventKind.RUN_CREATED,
            actor=actor,
            subject=run.id,
            data=told,
            now=run.created_at,
        )
    if client is not None:
        await dispatch(rt, client, [run.id])
    return await get_run(rt, run.id)


async def cancel_run(
    rt: Runtime, client: Client | None, run_id: str, *, actor: str
) -> dict[str, Any]:
    """Asks a run to stop; what it changed is taken back as its playbook says. Raises NotFound, Conflict (over), Unavailable (Temporal)."""
    now = rt.clock()
    async with rt.store.write() as session:
        run = await _open_run(session, run_id)
        told = {"attempt": run.attempt, "status": run.status}
        await trail.record(
            session, EventKind.RUN_CANCEL_REQUESTED, actor=actor, subject=run_id, data=told, now=now
        )
        if not run.dispatched:
            # Temporal may have it all the same, when a crash came before the mark: the signal below then finds it.
            run.status, run.ended_at, run.error = (
                RunStatus.CANCELLED,
                now,
                f"cancelled by {actor} before it began",
            )
            over = {"status": RunStatus.CANCELLED, "attempt": run.attempt, "error": run.error}
            await trail.record(
                session, EventKind.RUN_ENDED, actor=actor, subject=run_id, data=over, now=now
            )
    await _signal_cancel(client, run, actor)
    return await get_run(rt, run_id)


async def retry_run(
    rt: Runtime, client: Client | None, run_id: str, *, actor: str
) -> dict[str, Any]:
    """Takes a run up again from the step that failed, as its next attempt. Raises NotFound, Conflict (still open, or completed)."""
    async with rt.store.write() as session:
        run = await runs.get(session, run_id, lock=True)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        if run.status not in RETRYABLE:
            raise Conflict(
                f"run {run_id} is {run.status}; only a run that {', '.join(sorted(RETRYABLE))} can be retried"
            )
        version = await runs.playbook(session, run.playbook, run.version)
        if version is not None and version.stage == DEBUG:
            raise Conflict(
                f"run {run_id} carried out one step in a debug session, which is over; begin another session"
            )
        before = {"status": run.status, "error": run.error}
        run.attempt, run.status, run.dispatched, run.error, run.ended_at = (
            run.attempt + 1,
            RunStatus.RUNNING,
            False,
            None,
            None,
        )
        told = {"attempt": run.attempt, "before": before}
        await trail.record(
            session, EventKind.RUN_RETRIED, actor=actor, subject=run_id, data=told, now=rt.clock()
        )
    if client is not None:
        await dispatch(rt, client, [run_id])
    return await get_run(rt, run_id)


async def _playbook(session: AsyncSession, name: str, version: int | None) -> PlaybookRow:
    row = await runs.playbook(session, name, version)
    if row is None:
        raise NotFound(
            f"there is no playbook {name}{f' version {version}' if version else ' that is not retired'}; see `tocsin playbook list`"
        )
    if row.retired:
        raise Conflict(f"{name} version {row.version} is retired; start another version")
    return row


async def _alert(session: AsyncSession, alert_id: str) -> AlertRow:
    alert = await session.get(AlertRow, alert_id)
    if alert is None:
        raise NotFound(f"there is no alert {alert_id}")
    return alert


def _run(
    row: PlaybookRow,
    rt: Runtime,
    inputs: dict[str, Any],
    alert: AlertRow | None,
    mode: Mode,
    actor: str,
) -> RunRow:
    return RunRow(
        id=new_id("run"),
        playbook=row.name,
        version=row.version,
        plan_digest=row.digest,
        incident_id=alert.incident_id if alert else None,
        alert_id=alert.id if alert else None,
        source=alert.source if alert else None,
        severity=alert.severity if alert else 0,
        status=RunStatus.RUNNING,
        mode=mode,
        inputs=inputs,
        started_by=actor,
        created_at=rt.clock(),
    )


async def _open_run(session: AsyncSession, run_id: str) -> RunRow:
    run = await runs.get(session, run_id, lock=True)
    if run is None:
        raise NotFound(f"there is no run {run_id}")
    if not RunStatus(run.status).open:
        raise Conflict(f"run {run_id} is {run.status} already")
    return run


async def _signal_cancel(client: Client | None, run: RunRow, actor: str) -> None:
    if client is None:
        if run.dispatched:
            raise Unavailable("Temporal does not answer, so the run cannot hear of it; try again")
        return
    try:
        await client.get_workflow_handle(workflow_id(run.id, run.attempt)).signal(
            "cancel_run", actor, rpc_timeout=RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return  # not started, or over this moment
        raise Unavailable(
            f"Temporal does not answer ({error.status.name}), so the run cannot hear of it; try again"
        ) from error
    except RuntimeError as error:
        raise Unavailable(
            "Temporal does not answer, so the run cannot hear of it; try again"
        ) from error
