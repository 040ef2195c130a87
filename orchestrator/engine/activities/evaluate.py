"""Policy evaluation of a change, in the transaction that acts on the verdict."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.contracts.run import RunContext
from orchestrator.domain.change import Change, PolicyVerdict
from orchestrator.policy.evaluate import evaluate
from orchestrator.policy.load_inputs import load_context, load_facts, load_policy
from orchestrator.policy.stops.circuit_breaker import trip_if_unusual


async def evaluate_change(
    session: AsyncSession, change: Change, run: RunContext, now: datetime, *, to_apply: bool = False
) -> PolicyVerdict:
    """Return the verdict, from the store as this transaction sees it.

    `to_apply`: the change may trip the source's circuit breaker.
    """
    in_force = await load_policy(session)
    context = await load_context(session, run, now)
    if to_apply:  # before the facts are loaded, so that the breaker stops this very change
        await trip_if_unusual(session, change, run.source, now, in_force.policy.breaker)
    facts = await load_facts(session, change, run.run_id, now, context, in_force)
    return evaluate(change, in_force, facts, context)
