"""Limits on the size of a step's result, which keep histories and records small."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.contracts.run import StepRef
from orchestrator.engine.decide.scope import StepFailed
from orchestrator.playbook.plan import AnyStep, ForEach

MAX_BYTES = 200_000
"""Bytes of one step's result."""
MAX_FOR_EACH_BYTES = 1_000_000
"""Bytes of the result of a `for_each`, which stays in the worker's memory."""


def check_size(step: AnyStep, ref: StepRef, result: Any) -> Any:
    """Return the result. Raise StepFailed when it is too large."""
    limit = MAX_FOR_EACH_BYTES if isinstance(step, ForEach) else MAX_BYTES
    if problem := size_problem(result, limit):
        raise StepFailed(ref.path, problem)
    return result


def size_problem(result: Any, limit: int = MAX_BYTES) -> str | None:
    """Return why a result is too large, if it is.

    An activity asks before it replies: Temporal takes no message of more than 2 MiB, and the worker
    would repeat the reply without end.
    """
    size = json_bytes(result)
    if size <= limit:
        return None
    return f"its result has {size} bytes, more than {limit}; ask the system for less"


def for_record(result: Any) -> Any:
    """Return what the run's record keeps of a result.

    Of a long `for_each` only the counts: the steps of its items have records of their own.
    """
    if isinstance(result, dict) and json_bytes(result) > MAX_BYTES:
        return {**result, "items": []} if "items" in result else None
    return result


def json_bytes(value: Any) -> int:
    """Return the size of a value as JSON, in bytes."""
    return len(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "surrogatepass"
        )
    )
