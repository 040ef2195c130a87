"""Stuck runs: a task of their workflow, or of a child of it, fails in Temporal again and again.

That is a fault of the engine, or a worker that is older than the run. A stuck run gets a task. One
that people cancel is continued as its next attempt, which rolls back what the run changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from datetime import datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from orchestrator.contracts.names import Workflow, run_workflow_id
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.incidents.tasks import close_tasks, open_task
from orchestrator.runs.lost import BATCH, SETTLED, recover_run
from orchestrator.runs.workflow_health import ASKED_AT_ONCE, STUCK_AFTER, health, reported
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs, tasks
from orchestrator.store.search.filters import TaskFilter
from orchestrator.store.tables import RunRow

_log = structlog.get_logger(__name__)


async def watch_workflow_tasks(rt: Runtime, client: Client) -> int:
    """Open a task for each stuck run, and close those of runs that go on. Return how many.

    Raise what Temporal raises.
    """
    now = rt.clock()
    async with rt.store.read() as session:
        open_runs = await runs.list_dispatched(session, now - SETTLED, BATCH)
        known = await _known(session)
    stuck = await _stuck_runs(client, open_runs, known)
    async with rt.store.write() as session:
        for run, failures in stuck:
            await _open_task(session, run, failures, now)
        for run_id in known - {run.id for run, _ in stuck}:
            comment = "the run moves again, or has ended"
            await close_tasks(session, TaskKind.STUCK_RUN, run_id, "system", comment, now)
    for run, _ in stuck:
        if run.cancel_requested_by is not None:
            await _replace_workflow(rt, client, run)
    return len(stuck)


async def _known(session: AsyncSession) -> set[str]:
    wanted = TaskFilter(state=(TaskState.OPEN,), kind=TaskKind.STUCK_RUN)
    opened = await tasks.list_page(session, wanted, after=None, limit=ASKED_AT_ONCE)
    return {task.subject for task in opened}


async def _stuck_runs(
    client: Client, open_runs: Iterable[RunRow], known: Collection[str]
) -> list[tuple[RunRow, int]]:
    by_workflow = {run_workflow_id(run.id, run.attempt): run for run in open_runs}
    stuck = [name for name, run in by_workflow.items() if run.id in known]
    active = [name for name, run in by_workflow.items() if run.status is RunStatus.RUNNING]
    types = (Workflow.RUN, Workflow.BATCH, Workflow.ROLL_BACK)
    roots = {name.partition("/")[0] for name in await reported(client, *types)}
    suspects = [*dict.fromkeys([*stuck, *(roots & by_workflow.keys()), *active[:ASKED_AT_ONCE]])]
    found = await asyncio.gather(*(health(client, name) for name in suspects))
    return [
        (by_workflow[name], each.failures)
        for name, each in zip(suspects, found, strict=True)
        if each.failures >= STUCK_AFTER
    ]


async def _open_task(session: AsyncSession, run: RunRow, failures: int, now: datetime) -> None:
    await open_task(
        session,
        kind=TaskKind.STUCK_RUN,
        subject=run.id,
        summary=f"{run.playbook}: the run does not move: its workflow task failed {failures} times "
        "in Temporal; the worker's log says why. After the fix of the worker it goes on by itself. "
        "Or cancel the run: it is rolled back by a new attempt.",
        now=now,
    )


async def _replace_workflow(rt: Runtime, client: Client, run: RunRow) -> None:
    """Continue a cancelled run as its next attempt, as its workflow will not hear of it."""
    _log.warning("stuck run is replaced to be cancelled", run_id=run.id, attempt=run.attempt)
    handle = client.get_workflow_handle(run_workflow_id(run.id, run.attempt))
    await handle.terminate("stuck, and cancelled", rpc_timeout=RPC_TIMEOUT)
    await recover_run(rt, client, run.id)
