"""What a debug session shows: planned changes with secrets masked, and a state of bounded size."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.contracts.change import PlanReply
from orchestrator.contracts.debug import DebugState, DebugStep, PlanPreview
from orchestrator.domain.masking import mask_secrets

MAX_SHOWN = 20_000
"""Characters of one value."""
MAX_STATE_BYTES = 1_500_000
"""Temporal refuses replies above 2 MiB."""
_NEWEST = 50
"""Steps that keep their results in a state that is too large."""


def preview_plan(reply: PlanReply) -> PlanPreview:
    """Return a planned change and its verdict."""
    change, verdict = reply.change, reply.verdict
    return PlanPreview(
        target=change.target.value,
        summary=change.summary,
        changed=change.changed,
        planned_change=mask_secrets(change.planned_change),
        verdict=verdict.outcome.value,
        reasons=tuple(verdict.reasons),
    )


def fit_state(state: DebugState) -> DebugState:
    """Leave out large results and those of older steps if the state is too large to send."""
    if len(state.model_dump_json()) <= MAX_STATE_BYTES:
        return state
    first = len(state.steps) - _NEWEST
    steps = tuple(
        _without_result(step) if number < first or _is_large(step.result) else step
        for number, step in enumerate(state.steps)
    )
    return state.model_copy(update={"steps": steps})


def _is_large(result: Any) -> bool:
    return len(json.dumps(result, default=str)) > MAX_SHOWN


def _without_result(step: DebugStep) -> DebugStep:
    return step.model_copy(update={"result": None})
