"""How large may a step's result be? So large that histories and records stay small; a larger one is an error that names the step."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.contracts.messages import StepRef
from orchestrator.engine.decide.scope import StepFailed
from orchestrator.playbook.plan import AnyStep, ForEach

MOST = 200_000
"""Bytes of one step's result."""
MOST_OF_ITEMS = 1_000_000
"""Bytes of the result of a `for_each`, which stays in the worker's memory."""


def bounded(step: AnyStep, ref: StepRef, result: Any) -> Any:
    """The result. Raises StepFailed for one that is too large."""
    most = MOST_OF_ITEMS if isinstance(step, ForEach) else MOST
    if (size := size_of(result)) > most:
        raise StepFailed(
            ref.path, f"its result has {size} bytes, more than {most}; ask the system for less"
        )
    return result


def recorded(result: Any) -> Any:
    """What is kept of a result in the run's record: of a long `for_each` the counts, as each item's steps stand there themselves."""
    if isinstance(result, dict) and size_of(result) > MOST:
        return {**result, "items": []} if "items" in result else None
    return result


def size_of(value: Any) -> int:
    """Bytes of a JSON value."""
    return len(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    )
