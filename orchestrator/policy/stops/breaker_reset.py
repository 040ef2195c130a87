"""Breakers: which sources asked for far more containments than they used to, and who lets them go on."""

from __future__ import annotations

from datetime import datetime

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.incidents import tasks
from orchestrator.policy.stops.circuit_breaker import TASK
from orchestrator.runtime import Runtime
from orchestrator.store.queries import policy_inputs, records
from orchestrator.store.tables import BreakerRow


class BreakerView(Frozen):
    """A tripped breaker: people are asked about every change for this source."""

    source: str
    reason: str
    tripped_at: datetime


async def list_breakers(rt: Runtime) -> tuple[BreakerView, ...]:
    """Those that are tripped now."""
    async with rt.store.read() as session:
        rows = await records.every(session, BreakerRow)
        return tuple(
            BreakerView(**row.model_dump(exclude={"reset_at"}))
            for row in rows
            if row.reset_at is None
        )


async def reset_breaker(rt: Runtime, source: str, *, actor: str) -> None:
    """The source is trusted as before; what it had contained until now is not held against it. Raises NotFound where none is tripped."""
    now = rt.clock()
    async with rt.store.write() as session:
        await rt.store.serialize_limits(session)  # a breaker trips under the same lock
        row = await policy_inputs.breaker(session, source)
        if row is None or row.reset_at is not None:
            raise NotFound(f"the breaker of source {source} is not tripped")
        row.reset_at = now
        told = {"reason": row.reason, "tripped_at": row.tripped_at.isoformat()}
        await trail.record(
            session,
            EventKind.BREAKER_RESET,
            actor=actor,
            subject=f"source:{source}",
            data=told,
            now=now,
        )
        await tasks.close_tasks(session, TASK, source, actor, "the breaker was reset", now)
