"""Containments whose release is stuck: its workflow does not move, so that no lease on them ends.

Their leases are in the store, so a workflow that a newer worker cannot continue is replaced once.
One that is stuck again has a task until it moves.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.contracts.names import Workflow, release_workflow_id
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.incidents.tasks import close_tasks, open_task
from orchestrator.runs.workflow_health import ASKED_AT_ONCE, STUCK_AFTER, Health, health, reported
from orchestrator.runtime import Runtime
from orchestrator.store.queries import containments, tasks
from orchestrator.store.search.filters import TaskFilter

LATE = timedelta(seconds=30)
"""A lease that expired longer ago is not being ended."""
REPLACED_AFTER = timedelta(minutes=10)
"""A younger workflow was started by this worker, or one like it: another would be stuck as well."""

_log = structlog.get_logger(__name__)


async def watch_containment_tasks(rt: Runtime, client: Client) -> int:
    """Replace stuck workflows of containments, or open tasks for them. Return how many are stuck.

    Raise what Temporal raises.
    """
    now = rt.clock()
    async with rt.store.read() as session:
        overdue = await containments.overdue_keys(session, now - LATE, ASKED_AT_ONCE)
        known = await _known(session)
    prefix = release_workflow_id("")
    names = [name.removeprefix(prefix) for name in await reported(client, Workflow.RELEASE)]
    keys = [*dict.fromkeys([*known, *overdue, *names])][: 2 * ASKED_AT_ONCE]
    found = await asyncio.gather(*(health(client, release_workflow_id(key)) for key in keys))
    stuck = {
        key: each for key, each in zip(keys, found, strict=True) if each.failures >= STUCK_AFTER
    }
    replaced = {
        key
        for key, each in stuck.items()
        if key not in known and each.started_at and each.started_at < now - REPLACED_AFTER
    }
    for key in sorted(replaced):
        await _end(client, key, stuck[key])
    async with rt.store.write() as session:
        for key in stuck.keys() - replaced:
            await _open_task(session, key, stuck[key], now)
        for key in known - stuck.keys():
            comment = "its workflow moves again, or has ended"
            await close_tasks(session, TaskKind.STUCK_CONTAINMENT, key, "system", comment, now)
    return len(stuck)


async def _known(session: AsyncSession) -> set[str]:
    wanted = TaskFilter(state=(TaskState.OPEN,), kind=TaskKind.STUCK_CONTAINMENT)
    opened = await tasks.list_page(session, wanted, after=None, limit=ASKED_AT_ONCE)
    return {task.subject for task in opened}


async def _open_task(session: AsyncSession, key: str, found: Health, now: datetime) -> None:
    row = await containments.get(session, key)
    if row is None:
        return
    await open_task(
        session,
        kind=TaskKind.STUCK_CONTAINMENT,
        subject=key,
        summary=f"{row.action} of {row.target} on {row.connection} is not released: its workflow "
        f"task failed {found.failures} times in Temporal, so its leases do not end; the worker's "
        "log says why. After the fix of the worker it goes on by itself.",
        now=now,
    )


async def _end(client: Client, key: str, found: Health) -> None:
    """End a stuck workflow: what is due is found again, and another one is started."""
    _log.warning("stuck release of a containment is replaced", containment=key)
    handle = client.get_workflow_handle(release_workflow_id(key), run_id=found.execution)
    try:
        await handle.terminate("stuck", rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:  # another worker was faster
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
