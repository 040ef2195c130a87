"""The moment before which records may go: never inside a window that a decision still looks at."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import format_duration
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store.queries.retention import candidates

LEAST = timedelta(days=1)
"""Limits of runs per hour, open runs of a source and joined questions look back for less."""


class LookBack(NamedTuple):
    """How far something looks back."""

    span: timedelta
    name: str


async def find_cutoff(rt: Runtime, older_than: timedelta) -> datetime:
    """Return the moment this long ago.

    Raise Invalid where a limit of the policy, its circuit breaker, a `once_per` or the correlation
    of a source looks back further.
    """
    async with rt.store.read() as session:
        longest = max(await _look_backs(session), key=lambda each: each.span)
    if older_than <= longest.span:
        span = format_duration(int(longest.span.total_seconds()))
        given = format_duration(int(older_than.total_seconds()))
        raise Invalid(
            f"--older-than {given}: {longest.name} looks back {span}, and would no longer see what "
            f"is deleted; choose more than {span}"
        )
    return rt.clock() - older_than


async def _look_backs(session: AsyncSession) -> list[LookBack]:
    """Return what looks back at effects, runs and alerts, and how far."""
    policy = (await load_policy(session)).policy
    breaker = policy.breaker
    # The breaker compares a window with those before it.
    compared = breaker.within + max(breaker.within, breaker.compared_with)
    found = [
        LookBack(LEAST, "a limit of runs or of open questions"),
        LookBack(timedelta(seconds=compared), "the circuit breaker of the policy"),
        LookBack(
            timedelta(seconds=await candidates.longest_correlation(session)),
            "the correlation of a source (`correlate_within`)",
        ),
    ]
    for window in policy.limits.windows:
        name = f"a limit of the policy (per {window.per.value})"
        found.append(LookBack(timedelta(seconds=window.within), name))
    trigger = await candidates.longest_trigger_window(session)
    if trigger is not None:
        playbook, version, seconds = trigger
        name = f"`once_per` of playbook {playbook} version {version}"
        found.append(LookBack(timedelta(seconds=seconds), name))
    return found
