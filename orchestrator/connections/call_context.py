"""Calls of connectors: the only builder, with a key that is stable over retries and crashes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import activity

from connectors.sdk.call import ActionCall
from orchestrator.contracts.run import StepRef
from orchestrator.domain.digest import digest


def call_key(run_id: str, path: str, action: str) -> str:
    """Return the idempotency key of a step's call."""
    return digest([run_id, path, action])


def undo_key(run_id: str, path: str, action: str) -> str:
    """Return the idempotency key of the call that undoes a step's change."""
    return digest([run_id, path, action, "undo"])


def call_for(ref: StepRef, action: str) -> ActionCall:
    """Return the call of a step, inside an activity."""
    run = ref.run
    return bound_call(
        run.run_id,
        ref.path,
        call_key(run.run_id, ref.path, action),
        f"Tocsin {run.playbook} v{run.version}, run {run.run_id}, step {ref.path}",
    )


def undo_call(run_id: str, path: str, action: str, reason: str) -> ActionCall:
    """Return the call that undoes a step's change, inside an activity."""
    reason = f"Tocsin run {run_id}, step {path}: {reason}"[:200]
    return bound_call(run_id, path, undo_key(run_id, path, action), reason)


def bound_call(run_id: str, path: str, key: str, reason: str) -> ActionCall:
    """Return a call bound to the current activity: its heartbeats and its deadline."""
    info = activity.info()
    details: Any = next(iter(info.heartbeat_details), None)
    if isinstance(details, str):
        details = None  # a connector's own details are never text: this was written by the server
    limit = info.start_to_close_timeout
    return ActionCall(
        key=key,
        run_id=run_id,
        step_id=path,
        reason=reason,
        heartbeat=_no_heartbeat if info.is_local else activity.heartbeat,
        resume=details,
        deadline=info.started_time + limit if limit else None,
        attempt=info.attempt,
    )


def read_call(
    run_id: str, path: str, key: str, reason: str, deadline: datetime | None = None
) -> ActionCall:
    """Return a call for a read that answers a request, apart from any step's activity."""
    return ActionCall(
        key=key,
        run_id=run_id,
        step_id=path,
        reason=reason,
        heartbeat=_no_heartbeat,
        deadline=deadline,
    )


def _no_heartbeat(_detail: Any) -> None:
    """Do nothing: the work ends within seconds and has no heartbeats."""
