"""Does a source suddenly ask for far more containments than it used to? Spoofed alerts are an attack: then people are asked about each."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect
from orchestrator.incidents import tasks
from orchestrator.policy.sections import Breaker
from orchestrator.store.queries import effects, policy_inputs, records
from orchestrator.store.tables import BreakerRow

TASK = "breaker"
"""The kind of the task that stands open while a breaker is tripped; its subject is the source."""


async def tripped(session: AsyncSession, source: str | None) -> str | None:
    """Why people are asked about every change of this source; None while its breaker lets them through."""
    row = await policy_inputs.breaker(session, source) if source is not None else None
    return row.reason if row is not None and row.reset_at is None else None


async def trip_when_too_many(
    session: AsyncSession, change: Change, source: str | None, now: datetime, by: Breaker
) -> str | None:
    """As `tripped`, for a change that is about to be made: with it, the breaker may trip. Within a write that nobody else counts beside."""
    row = await policy_inputs.breaker(session, source) if source is not None else None
    if row is not None and row.reset_at is None:
        return row.reason
    if source is None or change.effect is not Effect.CONTAIN or not change.changed:
        return None
    reason = await _too_many(session, change, source, now, by, row.reset_at if row else None)
    if reason is not None:
        await _trip(session, source, reason, now, by)
    return reason


async def _too_many(
    session: AsyncSession,
    change: Change,
    source: str,
    now: datetime,
    by: Breaker,
    reset: datetime | None,
) -> str | None:
    window = timedelta(seconds=by.within)
    begin = (
        max(now - window, reset) if reset else now - window
    )  # what a person has looked at is not held against it
    contained = await effects.contained_for(session, source, begin)
    count = len(contained | {(change.target.type.value, change.target.value)})
    if count < by.at_least:
        return None
    windows = max(1.0, by.compared_with / by.within)
    enough = math.ceil(
        count * windows / by.factor
    )  # so many before, and this is nothing unusual: no need to count on
    end = now - window
    before = await effects.contained_per_window(
        session, source, end - window * windows, end, by.within, enough
    )
    if before >= enough:
        return None
    return f"source {source} had {count} targets contained within {window}, and on average {before / windows:.1f} before"


async def _trip(
    session: AsyncSession, source: str, reason: str, now: datetime, by: Breaker
) -> None:
    await records.put(
        session, BreakerRow(source=source, reason=reason, tripped_at=now, reset_at=None)
    )
    told = {"reason": reason}
    await trail.record(
        session,
        EventKind.BREAKER_TRIPPED,
        actor="system",
        subject=f"source:{source}",
        data=told,
        now=now,
    )
    summary = f"{reason}: people are asked about each of its changes until `tocsin breaker reset {source}`"
    await tasks.open_task(
        session, kind=TASK, subject=source, summary=summary, now=now, to_group=by.by
    )
