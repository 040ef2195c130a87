"""What was really done about an alert? As an outcome, from the rows that its runs left."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.authoring.outcomes import NOT_STARTED, Outcome
from orchestrator.domain.change import Effect
from orchestrator.policy.evaluate import COUNTED
from orchestrator.store.queries.history import Done
from orchestrator.store.tables import ApprovalRow, StepRow


def outcome_of(done: Done | None) -> Outcome:
    """`contained`: what was tried and did not fail for certain, also where it was taken back later."""
    if done is None or not done.runs:
        return NOT_STARTED
    contained = [
        row for row in done.effects if row.state != "failed" and Effect(row.effect) in COUNTED
    ]
    return Outcome(
        started=True,
        status=done.runs[-1].status,
        contained=_once(f"{row.connection}.{row.action} {row.target_value}" for row in contained),
        asked=_once(name for row in done.approvals for name in _asked(row)),
        denied=_once(
            name for row in done.troubles if row.state == "refused" for name in _change(row)
        ),
        failed=_once(
            [
                *(f"step {row.path}" for row in done.troubles if row.state == "failed"),
                *_never_began(done),
            ]
        ),
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


def _never_began(done: Done) -> Iterator[str]:
    """A run that its playbook's limit stopped has no steps."""
    for run in done.runs:
        if run.ended_at == run.created_at and run.error and run.error.startswith("not started:"):
            yield "the run"


def _once(names: Iterator[str] | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
