"""Reconciliation: once a second, work that a crash or an outage left undone is resumed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from temporalio.client import Client

from orchestrator.approvals.deliver_decision import Delivery, deliver
from orchestrator.approvals.reminders import send_due_reminders
from orchestrator.containments.watch import ensure_watched, watch
from orchestrator.incidents import deferred_runs, rejected_sources, set_aside_playbooks
from orchestrator.intake.keep_rejected import forget_old
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runs.deferred import begin_deferred
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lost import recover_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, containments, runs

BATCH = 100
"""How many items of a kind one round handles."""
LATE = timedelta(seconds=3)
"""A lease that expired longer ago has no workflow that watches it."""
ABANDONED = timedelta(minutes=2)
"""A containment that no lease has held for longer is abandoned."""
LOOK_AGAIN = timedelta(minutes=1)
"""How often an unattended containment is handed to its workflow at most."""


async def reconcile(rt: Runtime, client: Client) -> int:
    """Send reminders, start runs, deliver decisions and wake watchers. Return how many were due.

    Raise what Temporal raises.
    """
    now = rt.clock()
    reminded = await send_due_reminders(rt, BATCH)
    await rejected_sources.open_tasks(rt)
    await set_aside_playbooks.open_tasks(rt)
    await begin_deferred(rt, BATCH)
    await deferred_runs.open_tasks(rt)
    await forget_old(rt)
    async with rt.store.read() as session:
        waiting = await runs.undispatched(session, BATCH)
        decided = await approvals.list_undelivered(session, BATCH)
        overdue = await containments.overdue_keys(session, now - LATE, BATCH)
    await dispatch(rt, client, waiting)
    await asyncio.gather(*(_deliver(rt, client, *each) for each in decided))
    for key in sorted(overdue):
        await watch(client, key)
    return (
        reminded
        + len(waiting)
        + len(decided)
        + len(overdue)
        + await _watch_unattended(rt, client, now)
    )


async def _deliver(rt: Runtime, client: Client, approval_id: str, run_id: str) -> None:
    """Deliver a decision again. A run without its workflow is continued, and then reads it."""
    if await deliver(rt, client, approval_id) is Delivery.NO_WORKFLOW:
        await recover_run(rt, client, run_id)


async def _watch_unattended(rt: Runtime, client: Client, now: datetime) -> int:
    """Start the workflows of containments that may have lost theirs. Return how many."""
    async with rt.store.read() as session:
        unchecked = (
            now - 2 * timedelta(seconds=(await load_policy(session)).policy.drift.every) - ABANDONED
        )
        found = await containments.unattended_keys(session, now, now - ABANDONED, unchecked, BATCH)
    for key in found:
        await ensure_watched(client, key)
    if found:
        async with rt.store.write() as session:
            await containments.postpone_look(session, found, now + LOOK_AGAIN)
    return len(found)
