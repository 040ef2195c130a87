"""What would a dry run have done? The receipts that it would have applied, with the policy's judgement and who would have been asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.domain.masking import masked
from orchestrator.domain.run import Mode, StepState
from orchestrator.store.tables import RunRow, StepRow

_SAID_OF_A_JUDGEMENT = ("verdict", "reasons", "rule")


def would(run: RunRow, steps: Iterable[StepRow]) -> list[dict[str, Any]]:
    """In the order in which the steps began; a form that people would be asked to fill is among them. Empty for a run that is not dry."""
    if run.mode != Mode.DRY_RUN:
        return []
    return [_would(row) for row in steps if is_change(row) or (row.kind == "ask" and row.asked is not None)]


def is_change(row: StepRow) -> bool:
    """Whether the step was planned; one that failed before that has nothing to show."""
    return row.receipt is not None and row.planned is not None and row.state != StepState.FAILED


def _would(row: StepRow) -> dict[str, Any]:
    receipt, planned, judgement = row.receipt or {}, row.planned or {}, row.judgement
    changed = bool(receipt.get("changed"))
    return {
        "path": row.path,
        "connection": row.connection,
        "action": row.action,
        "target": receipt.get("target"),
        "effect": planned.get("effect"),
        "summary": masked(receipt.get("summary")),
        "changed": changed,
        "digest": planned.get("digest"),
        "judgement": judgement and {name: judgement.get(name) for name in _SAID_OF_A_JUDGEMENT},
        # What is as wished already nobody is asked about.
        "asked": masked(row.asked) if changed or row.kind == "ask" else None,
        "hold_seconds": planned.get("hold_seconds"),
    }
