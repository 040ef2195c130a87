"""Lost runs: open in the store, and unknown to Temporal or ended there.

That happens when Temporal's database is lost or restored from another moment, or when a workflow is
terminated. A lost run continues from its recorded steps as its next attempt; after
`MAX_RECOVERIES` attempts it ends as failed, with a task that says what may be in force.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.audit import trail
from orchestrator.contracts.names import Workflow, run_workflow_id
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.incidents.tasks import open_task
from orchestrator.notifications import outbox
from orchestrator.runs.dispatch import dispatch
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, effects, runs, steps
from orchestrator.store.tables import RunRow

CHECK_EVERY = timedelta(seconds=30)
SETTLED = timedelta(seconds=30)
"""A younger run may have been started a moment ago, or may be recording its end."""
MAX_RECOVERIES = 5
"""Attempts after which a run that is lost again needs a person."""
BATCH = 10_000
REPEATED_FOR = timedelta(hours=1)
"""How long a cancellation is repeated: each leaves a few events in the run's history."""

_log = structlog.get_logger(__name__)


async def recover_lost_runs(rt: Runtime, client: Client) -> int:
    """Continue every run that Temporal lost. Return how many. Raise what Temporal raises."""
    now = rt.clock()
    async with rt.store.read() as session:
        open_runs = await runs.list_dispatched(session, now - SETTLED, BATCH)
    if not open_runs:
        return 0
    known = await _known_workflows(client)
    suspects = [run for run in open_runs if run_workflow_id(run.id, run.attempt) not in known]
    return sum([await recover_run(rt, client, run.id) for run in suspects])


async def recover_run(rt: Runtime, client: Client, run_id: str) -> bool:
    """Continue a run if Temporal lost it. Return whether it had."""
    async with rt.store.read() as session:
        run = await runs.get(session, run_id)
    if run is None or not _is_open(run) or await _is_alive(client, run):
        return False
    now = rt.clock()
    async with rt.store.write() as session:
        row = await runs.get(session, run_id, lock=True)
        if row is None or not _is_open(row) or row.attempt != run.attempt:
            return False  # it ended in the meantime, or another worker was first
        await steps.interrupt_open(session, run_id, "Temporal lost the run", now)
        if row.attempt > MAX_RECOVERIES:
            await _give_up(session, row, now)
            return True
        # Its approvals stay: the next attempt asks the same, and takes them over.
        before = {"status": row.status, "error": "Temporal lost the run"}
        row.begin_next_attempt()
        data = {"attempt": row.attempt, "before": before}
        await trail.record(
            session, EventKind.RUN_RETRIED, actor="system", subject=run_id, data=data, now=now
        )
    _log.warning("run lost by Temporal, continued", run_id=run_id, attempt=run.attempt + 1)
    await dispatch(rt, client, [run_id])
    return True


async def repeat_cancellations(rt: Runtime, client: Client) -> int:
    """Tell workflows again that they are cancelled. Return how many. Raise what Temporal raises.

    A Temporal that was restored from an older moment does not know.
    """
    async with rt.store.read() as session:
        cancelling = await runs.list_cancelling(session, rt.clock() - REPEATED_FOR, BATCH)
    for run in cancelling:
        await carry_out_cancel(rt, client, run)
    return len(cancelling)


async def carry_out_cancel(rt: Runtime, client: Client, run: RunRow) -> None:
    """Tell a run's workflow that it is cancelled; if Temporal lost it, continue it for that.

    While Temporal is down, raise nothing: the reconciler repeats it.
    """
    handle = client.get_workflow_handle(run_workflow_id(run.id, run.attempt))
    try:
        await handle.signal("cancel_run", run.cancel_requested_by, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            _log.warning("cancellation not delivered yet", run_id=run.id, status=error.status.name)
            return
        await recover_run(rt, client, run.id)
    except RuntimeError as error:  # raised by a client that has not connected yet
        _log.warning("cancellation not delivered yet", run_id=run.id, error=type(error).__name__)


async def _give_up(session: AsyncSession, row: RunRow, now: datetime) -> None:
    error = f"Temporal lost the run {row.attempt} times"
    remaining = await effects.in_force_of_run(session, row.id)
    targets = ", ".join(sorted({effect.target_value for effect in remaining})) or "nothing"
    row.fail(error, now)
    for approval in await approvals.end_with_run(session, row.id, now):
        await outbox.close_notifications(session, approval.id, now)
    end = {"status": RunStatus.FAILED, "attempt": row.attempt, "error": error}
    await trail.record(
        session, EventKind.RUN_ENDED, actor="system", subject=row.id, data=end, now=now
    )
    await open_task(
        session,
        kind=TaskKind.LOST_RUN,
        subject=row.id,
        summary=f"{error}; in force may be: {targets}. Check Temporal, then retry the run.",
        now=now,
    )


def _is_open(run: RunRow) -> bool:
    return run.status.open and run.dispatched


async def _known_workflows(client: Client) -> set[str]:
    """Return ids of the runs' workflows that are open in Temporal."""
    query = f"WorkflowType = '{Workflow.RUN}' AND ExecutionStatus = 'Running'"
    return {found.id async for found in client.list_workflows(query)}


async def _is_alive(client: Client, run: RunRow) -> bool:
    """Ask Temporal itself: its list of workflows may be a moment old."""
    handle = client.get_workflow_handle(run_workflow_id(run.id, run.attempt))
    try:
        described = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING
