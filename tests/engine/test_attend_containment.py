"""The workflows of a containment: what is due is undone once, and the device is read back once."""

from __future__ import annotations

from orchestrator.contracts.change import UndoRequest
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.temporal.workflows.attend_containment import (
    CheckContainment,
    EndLeases,
)
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld


def over(path: str) -> UndoRequest:
    return UndoRequest(
        run_id="run_1",
        path=path,
        cause=LeaseEndReason.EXPIRED,
        reason="the lease expired",
        actor="system",
    )


async def release(rig: RunRig) -> bool:
    async with rig.worker():
        return await rig.server.client.execute_workflow(
            EndLeases.run, "k", id="release-k", task_queue="t"
        )


async def test_all_that_is_due_is_undone(rig: RunRig, world: MemoryWorld) -> None:
    world.due = [over("block"), over("again")]
    assert await release(rig)
    assert world.undo_requests == world.due


async def test_stuck_release_does_not_stop_the_next_one(rig: RunRig, world: MemoryWorld) -> None:
    world.due, world.stuck = [over("block"), over("again")], {"block"}
    assert not await release(rig)
    assert world.undo_requests == world.due


async def test_release_of_a_system_that_is_away_is_tried_once_and_left_to_the_store(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.due, world.undo_fails = [over("block")], True
    assert not await release(rig)
    assert world.undo_requests == world.due


async def test_nothing_is_undone_when_nothing_is_due(rig: RunRig, world: MemoryWorld) -> None:
    assert await release(rig)
    assert world.undo_requests == []


async def test_failed_drift_check_is_left_to_the_next_one(rig: RunRig, world: MemoryWorld) -> None:
    world.check_fails = True
    async with rig.worker():
        await rig.server.client.execute_workflow(
            CheckContainment.run, "k", id="check-k", task_queue="t"
        )
    assert world.checked == ["k"] * 3
