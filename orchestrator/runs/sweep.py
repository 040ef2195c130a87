"""What did a crash or an outage leave undone? Looked for once a second, and put on its way again."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client

from orchestrator.engine.activities.holding import watch
from orchestrator.runs.approvals import deliver
from orchestrator.runs.dispatch import dispatch
from orchestrator.runtime import Runtime
from orchestrator.store import approvals, containments, runs

MOST = 100
LATE = timedelta(seconds=3)
"""A lease that is over by more than this has nobody who watches it."""
ABANDONED = timedelta(minutes=2)
"""A containment of ours that no lease holds for longer than this is nobody's any more."""


async def sweep(rt: Runtime, client: Client) -> int:
    """Starts runs, delivers decisions, wakes watchers; how many things were on the way. Raises what Temporal raises when it is down."""
    now = rt.clock()
    async with rt.store.read() as session:
        waiting = await runs.undispatched(session, MOST)
        decided = await approvals.undelivered(session, MOST)
        held = {*await containments.overdue(session, now - LATE, MOST), *await containments.orphans(session, now - ABANDONED, MOST)}
    await dispatch(rt, client, waiting)
    for approval_id in decided:
        await deliver(rt, client, approval_id)
    for key in sorted(held):
        await watch(client, key)
    return len(waiting) + len(decided) + len(held)
