"""Circuit breakers: changes for a source with suddenly more containments need approval."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.change import Change, Effect
from orchestrator.domain.errors import NotFound
from orchestrator.domain.incident import TaskKind
from orchestrator.domain.model import Frozen
from orchestrator.incidents import tasks
from orchestrator.policy.sections import Breaker
from orchestrator.runtime import Runtime
from orchestrator.store.queries import effects, policy_inputs, records
from orchestrator.store.tables import BreakerRow

TASK = TaskKind.BREAKER
"""The kind of the task that stands open while a breaker is tripped; its subject is the source."""


class BreakerView(Frozen):
    """A tripped circuit breaker: every change for this source needs approval."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "source": "edge-ids",
                "reason": "source edge-ids had 21 targets contained within 1:00:00,"
                " and 1.5 on average before",
                "created_at": "2026-01-01T12:00:00Z",
            }
        }
    )

    source: str
    reason: str
    created_at: datetime


async def list_breakers(rt: Runtime) -> tuple[BreakerView, ...]:
    """Return the tripped breakers."""
    async with rt.store.read() as session:
        rows = await records.list_all(session, BreakerRow)
        return tuple(
            BreakerView(source=row.source, reason=row.reason, created_at=row.tripped_at)
            for row in rows
            if row.reset_at is None
        )


async def reset_breaker(rt: Runtime, source: str, *, actor: str) -> None:
    """Reset a tripped breaker. Earlier containments do not count again. Raise NotFound."""
    now = rt.clock()
    async with rt.store.write() as session:
        await rt.store.serialize_limits(session)  # the lock under which a breaker trips
        row = await policy_inputs.get_breaker(session, source)
        if row is None or row.reset_at is not None:
            raise NotFound(f"the circuit breaker of source {source} is not tripped")
        row.reset_at = now
        details = {"reason": row.reason, "tripped_at": row.tripped_at.isoformat()}
        await trail.record(
            session,
            EventKind.BREAKER_RESET,
            actor=actor,
            subject=f"source:{source}",
            data=details,
            now=now,
        )
        await tasks.close_tasks(
            session, TaskKind.BREAKER, source, actor, "the circuit breaker was reset", now
        )


async def trip_reason(session: AsyncSession, source: str | None) -> str | None:
    """Return why the breaker of a source tripped; None if it has not."""
    row = await policy_inputs.get_breaker(session, source) if source is not None else None
    return row.reason if row is not None and row.reset_at is None else None


async def trip_if_unusual(
    session: AsyncSession, change: Change, source: str | None, now: datetime, by: Breaker
) -> str | None:
    """Trip the breaker if this change is one too many. Return why it is tripped, or None.

    Called in a write that holds the lock of the limits, so that concurrent changes are counted.
    """
    row = await policy_inputs.get_breaker(session, source) if source is not None else None
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
    # A person has reviewed what was contained before the reset.
    begin = max(now - window, reset) if reset else now - window
    contained = await effects.targets_contained_for(session, source, begin)
    count = len(contained | {(change.target.type.value, change.target.value)})
    if count < by.at_least:
        return None
    windows = max(1.0, by.compared_with / by.within)
    # With this many before, the count is not unusual: stop counting there.
    enough = math.ceil(count * windows / by.factor)
    end = now - window
    before = await effects.count_contained_per_window(
        session, source, end - window * windows, end, by.within, enough
    )
    if before >= enough:
        return None
    return (
        f"source {source} had {count} targets contained within {window},"
        f" and {before / windows:.1f} on average before"
    )


async def _trip(
    session: AsyncSession, source: str, reason: str, now: datetime, by: Breaker
) -> None:
    await records.upsert(
        session, BreakerRow(source=source, reason=reason, tripped_at=now, reset_at=None)
    )
    details = {"reason": reason}
    await trail.record(
        session,
        EventKind.BREAKER_TRIPPED,
        actor="system",
        subject=f"source:{source}",
        data=details,
        now=now,
    )
    summary = f"{reason}: each of its changes needs approval until `tocsin breaker reset {source}`"
    await tasks.open_task(
        session, kind=TaskKind.BREAKER, subject=source, summary=summary, now=now, to_group=by.by
    )
