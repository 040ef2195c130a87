"""What would a dry run have done about an alert? As an outcome, beside what the live run did at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.authoring.outcomes import Outcome
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.run import StepState
from orchestrator.policy.evaluate import COUNTED
from orchestrator.store.tables import RunRow, StepRow

CANNOT_TELL = "a dry run cannot tell"
"""How the error begins of a step that a dry run skips because it depends on what only a change would bring."""


def outcome_of_dry(
    run: RunRow, steps: Sequence[StepRow], tasks: Mapping[str, bool], then: Outcome
) -> Outcome:
    """`tasks`: by step id, whether it could contain or ask; `then`: what the live run did.

    What the live run had made before the dry one looked is taken as what the dry one would have made too.
    """
    planned = [
        row for row in steps if row.planned_change and row.planned and row.state != StepState.FAILED
    ]
    allowed = [
        row
        for row in planned
        if not _denied(row) and (_changed(row) or _name(row) in then.contained)
    ]
    asked = [
        _asked_name(row)
        for row in allowed
        if row.asked is not None or (not _changed(row) and _name(row) in then.asked)
    ]
    forms = [
        f"the form at step {row.path}"
        for row in steps
        if row.kind == "ask" and row.asked is not None
    ]
    return Outcome(
        started=True,
        status=run.status,
        contained=_once(_name(row) for row in allowed if _effect(row) in COUNTED),
        asked=_once([*asked, *forms]),
        denied=_once(_name(row) for row in planned if _denied(row)),
        failed=_once(
            [
                *(f"step {row.path}" for row in steps if row.state == StepState.FAILED),
                *_never_began(run, steps),
            ]
        ),
        unknown=_once(
            f"step {row.path}: {row.error}"
            for row in steps
            if _untold(row) and tasks.get(_id(row.path), True)
        ),
    )


def errors_of(run: RunRow, steps: Iterable[StepRow]) -> dict[str, str]:
    """Why each failed, by how it is called in an outcome."""
    return {"the run": run.error or "", **{f"step {row.path}": row.error or "" for row in steps}}


def _denied(row: StepRow) -> bool:
    return (row.verdict or {}).get("outcome") == Verdict.DENY


def _changed(row: StepRow) -> bool:
    return bool((row.planned_change or {}).get("changed"))


def _effect(row: StepRow) -> Effect:
    return Effect((row.planned or {})["effect"])


def _name(row: StepRow) -> str:
    return f"{row.connection}.{row.action} {(row.planned_change or {})['target']['value']}"


def _asked_name(row: StepRow) -> str:
    return f"{row.connection}.{row.action}" if _effect(row) is Effect.NOTIFY else _name(row)


def _untold(row: StepRow) -> bool:
    return row.state == StepState.SKIPPED and (row.error or "").startswith(CANNOT_TELL)


def _never_began(run: RunRow, steps: Sequence[StepRow]) -> list[str]:
    return (
        ["the run"]
        if run.status == "failed" and not any(row.state == StepState.FAILED for row in steps)
        else []
    )


def _id(path: str) -> str:
    return path.rpartition("/")[2].partition("[")[0]


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
