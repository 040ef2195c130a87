"""Step records: a step's row and its audit events, written once in the caller's transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from connectors.sdk.guard import WriteRefused
from orchestrator.audit import trail
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.run import StepRef
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.change import Change, PolicyVerdict
from orchestrator.domain.digest import digest, input_digest
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepState
from orchestrator.runtime import Runtime
from orchestrator.store.paging import to_iso
from orchestrator.store.queries import steps
from orchestrator.store.tables import StepRow


def step_event(
    ref: StepRef, kind: EventKind, data: Mapping[str, Any], now: datetime, *parts: object
) -> Event:
    """Return an event about a step. `parts` tell it from others of its kind, so that a retry
    records it once.
    """  # noqa: D205
    run = ref.run
    context = {
        "path": ref.path,
        "attempt": run.attempt,
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
    }
    return trail.event(
        kind,
        actor=f"run:{run.run_id}",
        subject=run.run_id,
        data={**context, **mask_secrets(data)},
        now=now,
        event_id=trail.event_id(run.run_id, ref.path, run.attempt, kind, *parts),
    )


def verdict_record(verdict: PolicyVerdict, at: datetime) -> dict[str, Any]:
    """Return a verdict as a step keeps it. `at`: when the device was read for it."""
    return {**verdict.model_dump(mode="json"), "read_at": to_iso(at)}


def read_at(step: StepRow) -> datetime:
    """Return when a step last read the device."""
    at = (step.verdict or {}).get("read_at")
    return datetime.fromisoformat(at) if at else step.started_at


def change_data(change: Change) -> dict[str, Any]:
    """Return a change and its digest, as an event holds them."""
    return {**change.model_dump(mode="json"), "change_digest": change.digest}


async def save_step(
    session: AsyncSession,
    call: StepCall,
    state: StepState,
    started: datetime,
    now: datetime,
    **columns: Any,
) -> None:
    """Write the row of an action's step."""
    row = {
        "run_id": call.ref.run.run_id,
        "path": call.ref.path,
        "kind": "use",
        "state": state,
        "seq": call.ref.seq,
        "connection": call.connection,
        "action": call.action,
        "inputs": mask_secrets(call.input),
        "inputs_digest": input_digest(call.connection, call.action, call.input),
        "started_at": started,
        "ended_at": now if state.is_final else None,
        "error": None,
        "failure": None,
        **columns,
    }
    await steps.save(session, [row])


@asynccontextmanager
async def fail_step_on_write(rt: Runtime, call: StepCall) -> AsyncIterator[None]:
    """Record a refused write attempt within the block as the step's failure, and raise it again."""
    started = rt.clock()
    try:
        yield
    except WriteRefused as refused:
        now, error = rt.clock(), str(refused)
        data = {
            "connection": call.connection,
            "action": call.action,
            "attempt_refused": error,
            "mode": call.ref.run.mode,
        }
        kind = EventKind.STEP_WRITE_REFUSED
        async with rt.store.write() as session:
            await save_step(session, call, StepState.FAILED, started, now, error=error)
            await trail.record_all(
                session, [step_event(call.ref, kind, data, now, digest(error), started)]
            )
        raise
