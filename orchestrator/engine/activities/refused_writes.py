"""What of a connector that tried to change something where it may only read? Its step fails, and the trail says what it tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.sdk.guard import WriteRefused
from orchestrator.audit import trail
from orchestrator.contracts.messages import ActionCall
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.step_records import save_step, step_event
from orchestrator.runtime import Runtime


@asynccontextmanager
async def attempts_reported(rt: Runtime, call: ActionCall) -> AsyncIterator[None]:
    """Within, a connector only reads. Raises WriteRefused again, after it is on record."""
    started = rt.clock()
    try:
        yield
    except WriteRefused as refused:
        now, what = rt.clock(), str(refused)
        told = {
            "connection": call.connection,
            "action": call.action,
            "attempt_refused": what,
            "mode": call.ref.run.mode,
        }
        tried = step_event(call.ref, EventKind.STEP_WRITE_REFUSED, told, now, digest(what), started)
        async with rt.store.write() as session:
            await save_step(session, call, StepState.FAILED, started, now, error=what)
            await trail.record_all(session, [tried])
        raise
