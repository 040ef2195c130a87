"""What would a dry run have done? The planned_changes that it would have applied, with the policy's verdict and who would have been asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.domain.masking import masked
from orchestrator.domain.run import Mode, StepState
from orchestrator.store.tables import RunRow, StepRow

_VERDICT_FIELDS = ("outcome", "reasons", "rule")


def would(run: RunRow, steps: Iterable[StepRow]) -> list[dict[str, Any]]:
    """In the order in which the steps began; a form that people would be asked to fill is among them. Empty for a run that is not dry."""
    if run.mode != Mode.DRY_RUN:
        return []
    return [
        _would(row)
        for row in steps
        if is_change(row) or (row.kind == "ask" and row.asked is not None)
    ]


def is_change(row: StepRow) -> bool:
    """Whether the step was planned; one that failed before that has nothing to show."""
    return (
        row.planned_change is not None and row.planned is not None and row.state != StepState.FAILED
    )


def _would(row: StepRow) -> dict[str, Any]:
    planned_change, planned, verdict = row.planned_change or {}, row.planned or {}, row.verdict
    changed = bool(planned_change.get("changed"))
    return {
        "path": row.path,
        "connection": row.connection,
        "action": row.action,
        "target": planned_change.get("target"),
        "effect": planned.get("effect"),
        "summary": masked(planned_change.get("summary")),
        "changed": changed,
        "digest": planned.get("digest"),
        "verdict": verdict and {name: verdict.get(name) for name in _VERDICT_FIELDS},
        # What is as wished already nobody is asked about.
        "asked": masked(row.asked) if changed or row.kind == "ask" else None,
        "hold_seconds": planned.get("hold_seconds"),
    }
