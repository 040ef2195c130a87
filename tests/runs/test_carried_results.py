"""A retry carries over what an earlier attempt finished, and waits again for the rest."""

from __future__ import annotations

from datetime import UTC, datetime

from orchestrator.domain.run import StepState
from orchestrator.runs.dispatch import carried_results
from orchestrator.store.tables import StepRow

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def _step(path: str, state: StepState, kind: str = "use") -> StepRow:
    return StepRow(
        run_id="run_1",
        path=path,
        kind=kind,
        state=state,
        seq=1,
        started_at=NOW,
        result={"at": path},
    )


def test_wait_that_was_interrupted_is_not_carried_over() -> None:
    rows = [_step("look", StepState.DONE), _step("pause", StepState.INTERRUPTED, "wait")]
    assert carried_results(rows) == {"look": {"at": "look"}}


def test_block_that_holds_an_interrupted_wait_is_not_carried_over() -> None:
    rows = [
        _step("both", StepState.DONE, "parallel"),
        _step("both/look", StepState.DONE),
        _step("both/pause", StepState.INTERRUPTED, "wait"),
    ]
    assert set(carried_results(rows)) == {"both/look"}


def test_step_that_was_skipped_is_carried_over() -> None:
    assert set(carried_results([_step("maybe", StepState.SKIPPED)])) == {"maybe"}
