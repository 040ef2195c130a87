"""Transitions of containments and tasks: legal ones change all that belongs to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.domain.containment import (
    IN_FORCE,
    MAY_BE_IN_FORCE,
    ContainmentState,
    DriftState,
    EffectState,
)
from orchestrator.domain.errors import Conflict
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.store.tables import ContainmentRow, TaskRow

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def containment(state: ContainmentState) -> ContainmentRow:
    return ContainmentRow(
        key="k",
        connection="firewall",
        action="block_address",
        target_type="address",
        target_value="198.51.100.7",
        state=state,
        ours=True,
        effect_id="run_1/block/1",
        was_in_force=True,
        since=NOW,
    )


def test_only_a_lifted_containment_is_not_in_force() -> None:
    assert set(IN_FORCE) == set(ContainmentState) - {ContainmentState.LIFTED}
    assert set(MAY_BE_IN_FORCE) == set(EffectState) - {EffectState.FAILED, EffectState.UNDONE}


def test_containment_that_is_being_lifted_cannot_be_held() -> None:
    row = containment(ContainmentState.LIFTING)
    with pytest.raises(Conflict, match="lifting cannot become held"):
        row.hold()


@pytest.mark.parametrize("state", [ContainmentState.LIFTING, ContainmentState.STUCK])
def test_lifted_containment_is_neither_lifted_again_nor_stuck(state: ContainmentState) -> None:
    with pytest.raises(Conflict):
        ContainmentState.LIFTED.become(state)


def test_lifted_containment_starts_over_without_an_effect() -> None:
    row = containment(ContainmentState.LIFTED)
    row.hold()
    assert (row.state, row.ours, row.effect_id) == (ContainmentState.HELD, False, None)
    assert row.since == NOW
    row.enter_force(NOW + timedelta(hours=1))
    assert row.since == NOW + timedelta(hours=1)


def test_what_never_was_in_force_keeps_the_time_when_it_was_lifted_before() -> None:
    row = containment(ContainmentState.LIFTED)
    row.hold()
    row.mark_lifted(NOW)
    assert row.lifted_at is None
    row.hold()
    row.enter_force(NOW)
    row.mark_lifted(NOW)
    row.hold()
    row.mark_lifted(NOW + timedelta(hours=1))
    assert row.lifted_at == NOW


def test_stuck_containment_keeps_its_effect_when_it_is_held_again() -> None:
    row = containment(ContainmentState.LIFTING)
    row.mark_stuck("refused")
    assert (row.failures, row.error) == (1, "refused")
    row.hold()
    assert (row.ours, row.effect_id, row.error) == (True, "run_1/block/1", None)


def test_mark_lifted_clears_everything_about_the_release() -> None:
    row = containment(ContainmentState.STUCK)
    row.drift, row.failures, row.retry_at, row.escalated_at = DriftState.GONE, 3, NOW, NOW
    row.mark_lifted(NOW)
    assert (row.state, row.ours, row.lifted_at) == (ContainmentState.LIFTED, False, NOW)
    assert (row.drift, row.failures, row.retry_at, row.escalated_at) == (None, 0, None, None)


def test_task_is_closed_once() -> None:
    task = TaskRow(id="t", kind=TaskKind.DRIFT, subject="k", summary="gone", opened_at=NOW)
    task.close("person:ann", "fixed", NOW)
    assert (task.state, task.closed_by) == (TaskState.CLOSED, "person:ann")
    with pytest.raises(Conflict):
        task.close("person:bob", "again", NOW)
