"""What does the policy say of a change at this moment? Judged inside of the transaction that acts upon it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.contracts.messages import PolicyVerdict, RunContext
from orchestrator.domain.change import Change
from orchestrator.policy.evaluate import evaluate
from orchestrator.policy.load_inputs import context_of, gather, policy_in_force
from orchestrator.policy.stops.circuit_breaker import trip_when_too_many


async def evaluate_change(
    session: AsyncSession, change: Change, run: RunContext, now: datetime, *, to_apply: bool = False
) -> PolicyVerdict:
    """The verdict on a run's change, from the store as this transaction sees it. `to_apply`: the source's breaker may trip over it."""
    in_force = await policy_in_force(session)
    context = await context_of(session, run, now)
    if to_apply:  # before the facts are read, so that this very change is asked about
        await trip_when_too_many(session, change, run.source, now, in_force.policy.breaker)
    return evaluate(
        change, in_force, await gather(session, change, run.run_id, now, context, in_force), context
    )
