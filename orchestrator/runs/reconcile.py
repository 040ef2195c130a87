"""What did a crash or an outage leave undone? Looked for once a second, and put on its way again."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio.client import Client

from orchestrator.approvals.deliver_decision import deliver
from orchestrator.approvals.reminders import remind
from orchestrator.containments.watch import ensure_watched, watch
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.runs.dispatch import dispatch
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals, containments, runs

MOST = 100
LATE = timedelta(seconds=3)
"""A lease that is over by more than this has nobody who watches it."""
ABANDONED = timedelta(minutes=2)
"""A containment of ours that no lease holds for longer than this is nobody's any more."""
LOOK_AGAIN = timedelta(minutes=1)
"""A workflow that is at work on what it watches is not looked after more often than this."""


async def sweep(rt: Runtime, client: Client) -> int:
    """Reminds people, starts runs, delivers decisions, wakes watchers; how many things were due. Raises what Temporal raises."""
    now = rt.clock()
    reminded = await remind(rt, MOST)
    async with rt.store.read() as session:
        waiting = await runs.undispatched(session, MOST)
        decided = await approvals.undelivered(session, MOST)
        overdue = await containments.overdue(session, now - LATE, MOST)
    await dispatch(rt, client, waiting)
    for approval_id in decided:
        await deliver(rt, client, approval_id)
    for key in sorted(overdue):
        await watch(client, key)
    return (
        reminded
        + len(waiting)
        + len(decided)
        + len(overdue)
        + await _watch_neglected(rt, client, now)
    )


async def _watch_neglected(rt: Runtime, client: Client, now: datetime) -> int:
    """Whatever became of their workflows: what is held is looked at, and what is to be lifted is lifted. How many were found."""
    async with rt.store.read() as session:
        unchecked = (
            now
            - 2 * timedelta(seconds=(await policy_in_force(session)).policy.drift.every)
            - ABANDONED
        )
        found = await containments.neglected(session, now, now - ABANDONED, unchecked, MOST)
    for key in found:
        await ensure_watched(client, key)
    if found:
        async with rt.store.write() as session:
            await containments.seen_to(session, found, now + LOOK_AGAIN)
    return len(found)
