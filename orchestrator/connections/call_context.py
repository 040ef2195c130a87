"""How is a connector called on behalf of a step? With a key that stays the same over retries, crashes and attempts."""

from __future__ import annotations

from typing import Any

from temporalio import activity

from connectors.sdk.call import Call
from orchestrator.contracts.messages import StepRef
from orchestrator.domain.digest import digest


def call_key(run_id: str, path: str, action: str) -> str:
    """The idempotency key of a step's call."""
    return digest([run_id, path, action])


def call_for(ref: StepRef, action: str) -> Call:
    """The call of a step."""
    run = ref.run
    return bound_call(
        run.run_id,
        ref.path,
        call_key(run.run_id, ref.path, action),
        f"Tocsin {run.playbook} v{run.version}, run {run.run_id}, step {ref.path}",
    )


def undo_call(run_id: str, path: str, action: str, reason: str) -> Call:
    """The call that takes a step's change back."""
    key = digest([run_id, path, action, "undo"])
    return bound_call(run_id, path, key, f"Tocsin run {run_id}, step {path}: {reason}"[:200])


def bound_call(run_id: str, path: str, key: str, reason: str) -> Call:
    """A call inside of the activity that runs now: its heartbeats, where it had come to before a crash, its deadline."""
    info = activity.info()
    details: Any = next(iter(info.heartbeat_details), None)
    limit = info.start_to_close_timeout
    return Call(
        key=key,
        run_id=run_id,
        step_id=path,
        reason=reason,
        heartbeat=_unheard if info.is_local else activity.heartbeat,
        resume=details,
        deadline=info.started_time + limit if limit else None,
    )


def _unheard(_detail: Any) -> None:
    """A local activity is over within seconds: it has no heartbeats."""
