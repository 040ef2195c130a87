"""Reconciliation: once a second, work that a crash or an outage left undone is resumed."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from orchestrator.approvals.deliver_decision import Delivery, deliver
from orchestrator.approvals.reminders import send_due_reminders
from orchestrator.incidents import deferred_runs, rejected_sources, set_aside_playbooks
from orchestrator.intake.keep_rejected import forget_old
from orchestrator.runs.deferred import begin_deferred
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lost import recover_run
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, runs

BATCH = 100
"""How many items of a kind one round handles."""


async def reconcile(rt: Runtime, client: Client) -> int:
    """Send reminders, start runs and deliver decisions. Return how many were due.

    Raise what Temporal raises.
    """
    reminded = await send_due_reminders(rt, BATCH)
    await rejected_sources.open_tasks(rt)
    await set_aside_playbooks.open_tasks(rt)
    await begin_deferred(rt, BATCH)
    await deferred_runs.open_tasks(rt)
    await forget_old(rt)
    async with rt.store.read() as session:
        waiting = await runs.undispatched(session, BATCH)
        decided = await approvals.list_undelivered(session, BATCH)
    await dispatch(rt, client, waiting)
    await asyncio.gather(*(_deliver(rt, client, *each) for each in decided))
    return reminded + len(waiting) + len(decided)


async def _deliver(rt: Runtime, client: Client, approval_id: str, run_id: str) -> None:
    """Deliver a decision again. A run without its workflow is continued, and then reads it."""
    if await deliver(rt, client, approval_id) is Delivery.NO_WORKFLOW:
        await recover_run(rt, client, run_id)
