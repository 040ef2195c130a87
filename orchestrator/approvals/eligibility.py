"""Whose hands are in a run already? They may stop it, and may not be those who agree with what it changes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.approval import one_person
from orchestrator.policy.load_inputs import policy_in_force
from orchestrator.store.queries import approvals, runs


async def barred(session: AsyncSession, run_id: str, person: str) -> str | None:
    """What a person did that keeps them from approving a run's changes; None: nothing, or the policy does not separate duties."""
    run = await runs.get(session, run_id)
    if run is None or not (await policy_in_force(session)).policy.approvals.separate:
        return None
    return _did(
        [*await approvals.starters(session, run), *await approvals.writers(session, run)], person
    )


async def started(session: AsyncSession, run_id: str, person: str) -> str | None:
    """Whether a person started or retried a run, said in words; None: neither."""
    run = await runs.get(session, run_id)
    return _did(await approvals.starters(session, run), person) if run is not None else None


def _did(behind: Iterable[tuple[str, str]], person: str) -> str | None:
    same = one_person(person)
    return next(
        (did for actor, did in behind if actor.startswith("person:") and one_person(actor) == same),
        None,
    )
