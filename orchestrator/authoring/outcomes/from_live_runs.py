"""The outcome of an alert from the rows that its live runs left."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.authoring.outcomes.differences import NOT_STARTED, THE_RUN, Outcome, unique
from orchestrator.domain.change import Effect
from orchestrator.domain.run import BEFORE
from orchestrator.policy.evaluate import COUNTED
from orchestrator.store.queries.history import AlertRuns
from orchestrator.store.tables import ApprovalRow, StepRow


def live_outcome(runs: AlertRuns | None) -> Outcome:
    """Return what the live runs did.

    `contained` holds every change that did not certainly fail, also those undone later.
    """
    if runs is None or not runs.runs:
        return NOT_STARTED
    contained = [
        row for row in runs.effects if row.state != "failed" and Effect(row.effect) in COUNTED
    ]
    failed = [f"step {row.path}" for row in runs.failed_steps if row.state == "failed"]
    if runs.runs[-1].over_limit is not None and not is_approved_over_limit(runs):
        failed.append(THE_RUN)
    return Outcome(
        started=True,
        status=runs.runs[-1].status,
        contained=unique(f"{row.connection}.{row.action} {row.target_value}" for row in contained),
        asked=unique(name for row in runs.approvals for name in _asked(row)),
        denied=unique(
            name for row in runs.failed_steps if row.state == "refused" for name in _change(row)
        ),
        failed=unique(failed),
    )


def is_approved_over_limit(runs: AlertRuns) -> bool:
    """Return whether the newest run went beyond `runs_per_hour`, and people let it begin."""
    newest = runs.runs[-1] if runs.runs else None
    return (
        newest is not None
        and newest.over_limit is not None
        and any(
            row.run_id == newest.id and row.path == BEFORE and row.state == "approved"
            for row in runs.approvals
        )
    )


def _asked(row: ApprovalRow) -> Iterator[str]:
    if row.kind == "form":
        yield f"the form at step {row.path}"
    for change in row.changes:
        yield _name(
            change["connection"],
            change["action"],
            change["effect"],
            change["planned_change"]["target"]["value"],
        )


def _change(row: StepRow) -> Iterator[str]:
    if row.connection and row.action and row.planned_change:
        yield f"{row.connection}.{row.action} {row.planned_change['target']['value']}"


def _name(connection: str, action: str, effect: str, target: str) -> str:
    return (
        f"{connection}.{action}" if effect == Effect.NOTIFY else f"{connection}.{action} {target}"
    )
