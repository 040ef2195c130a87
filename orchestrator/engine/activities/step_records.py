"""How does a step get into the records? Its row and its event, in the transaction of what it tells of, once however often it is retried."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.contracts.messages import ActionCall, PolicyVerdict, StepRef
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.change import Change
from orchestrator.domain.digest import wish_digest
from orchestrator.domain.masking import masked
from orchestrator.domain.run import StepState
from orchestrator.store.queries import steps
from orchestrator.store.tables import StepRow

_FINAL = {
    StepState.VERIFIED,
    StepState.DONE,
    StepState.FAILED,
    StepState.REFUSED,
    StepState.UNDONE,
    StepState.RELEASED,
    StepState.SKIPPED,
}


def step_event(
    ref: StepRef, kind: EventKind, data: Mapping[str, Any], now: datetime, *more: object
) -> Event:
    """An event about a step of a run. `more`: what else tells it from others of its kind."""
    run = ref.run
    told = {
        "path": ref.path,
        "attempt": run.attempt,
        "playbook": run.playbook,
        "version": run.version,
        "playbook_digest": run.plan_digest,
        **masked(data),
    }
    id_ = trail.event_id(run.run_id, ref.path, run.attempt, kind, *more)
    return trail.event(
        kind, actor=f"run:{run.run_id}", subject=run.run_id, data=told, now=now, event_id=id_
    )


def stored_verdict(verdict: PolicyVerdict, at: datetime) -> dict[str, Any]:
    """A verdict as a step keeps it, with the moment at which the device was looked at for it."""
    return {**verdict.model_dump(mode="json"), "at": at.isoformat()}


def looked_at(step: StepRow) -> datetime:
    """When a step last looked at the device."""
    at = (step.verdict or {}).get("at")
    return datetime.fromisoformat(at) if at else step.started_at


def change_told(change: Change) -> dict[str, Any]:
    """What an event says of a change: all of it, and its digest."""
    return {**change.model_dump(mode="json"), "change_digest": change.digest}


async def save_step(
    session: AsyncSession,
    call: ActionCall,
    state: StepState,
    started: datetime,
    now: datetime,
    **columns: Any,
) -> None:
    """Writes the row of an action's step."""
    row = {
        "run_id": call.ref.run.run_id,
        "path": call.ref.path,
        "kind": "use",
        "state": state.value,
        "seq": call.ref.seq,
        "connection": call.connection,
        "action": call.action,
        "inputs": masked(call.input),
        "inputs_digest": wish_digest(call.connection, call.action, call.input),
        "started_at": started,
        "ended_at": now if state in _FINAL else None,
        "error": None,
        **columns,
    }
    await steps.save(session, [row])
