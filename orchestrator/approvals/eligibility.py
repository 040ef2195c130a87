"""Separation of duties: people involved in a run may decline, but not approve, its changes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.approval import one_person
from orchestrator.policy.load_inputs import load_policy
from orchestrator.store.queries import approvals, runs


async def approval_bar(session: AsyncSession, run_id: str, person: str) -> str | None:
    """Return what a person did that bars them from approving a run's changes.

    None: nothing, or the policy does not separate duties.
    """
    run = await runs.get(session, run_id)
    if run is None or not (await load_policy(session)).policy.approvals.separate:
        return None
    involved = [
        *await approvals.list_starters(session, run),
        *await approvals.list_authors(session, run),
    ]
    return _deed_of(person, involved)


async def started_by_reason(session: AsyncSession, run_id: str, person: str) -> str | None:
    """Return how a person started a run (`started the run`, `retried the run`), or None."""
    run = await runs.get(session, run_id)
    if run is None:
        return None
    return _deed_of(person, await approvals.list_starters(session, run))


def _deed_of(person: str, involved: Iterable[tuple[str, str]]) -> str | None:
    same = one_person(person)
    return next(
        (
            deed
            for actor, deed in involved
            if actor.startswith("person:") and one_person(actor) == same
        ),
        None,
    )
