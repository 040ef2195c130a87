"""The outcome that a dry run foretells for an alert, next to what the live run did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from orchestrator.authoring.outcomes.differences import THE_RUN, Outcome, unique
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.playbook.plan import without_rounds
from orchestrator.policy.evaluate import COUNTED
from orchestrator.store.tables import RunRow, StepRow


def dry_run_outcome(
    run: RunRow, steps: Sequence[StepRow], effectful: Mapping[str, bool], then: Outcome
) -> Outcome:
    """Return what the dry run would have done; `then` is what the live run did.

    `effectful` says by step id whether the step could contain something or ask people. A change
    that the live run made before the dry run looked counts as one of the dry run too.
    """
    planned = [
        row for row in steps if row.planned_change and row.planned and row.state != StepState.FAILED
    ]
    allowed = [
        row
        for row in planned
        if not _is_denied(row) and (_is_changed(row) or _name(row) in then.contained)
    ]
    asked = [
        _asked_name(row)
        for row in allowed
        if row.asked is not None or (not _is_changed(row) and _name(row) in then.asked)
    ]
    forms = [
        f"the form at step {row.path}"
        for row in steps
        if row.kind == "ask" and row.asked is not None
    ]
    failed = [f"step {row.path}" for row in steps if row.state == StepState.FAILED]
    if run.status == RunStatus.FAILED and not failed:
        failed = [THE_RUN]
    return Outcome(
        started=True,
        status=run.status,
        contained=unique(_name(row) for row in allowed if _effect(row) in COUNTED),
        asked=unique([*asked, *forms]),
        denied=unique(_name(row) for row in planned if _is_denied(row)),
        failed=unique(failed),
        unknown=unique(
            f"step {row.path}: {row.error}"
            for row in steps
            if row.state == StepState.UNDETERMINED and effectful.get(_step_id(row.path), True)
        ),
    )


def failure_reasons(run: RunRow, steps: Iterable[StepRow]) -> dict[str, str]:
    """Return the errors by what failed, as an outcome names it."""
    return {THE_RUN: run.error or "", **{f"step {row.path}": row.error or "" for row in steps}}


def _is_denied(row: StepRow) -> bool:
    return (row.verdict or {}).get("outcome") == Verdict.DENY


def _is_changed(row: StepRow) -> bool:
    return bool((row.planned_change or {}).get("changed"))


def _effect(row: StepRow) -> Effect:
    return Effect((row.planned or {})["effect"])


def _name(row: StepRow) -> str:
    return f"{row.connection}.{row.action} {(row.planned_change or {})['target']['value']}"


def _asked_name(row: StepRow) -> str:
    return f"{row.connection}.{row.action}" if _effect(row) is Effect.NOTIFY else _name(row)


def _step_id(path: str) -> str:
    return without_rounds(path).rpartition("/")[2]
