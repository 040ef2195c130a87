"""The workflow of a containment: lifts when a lease ends, looks again when told, and is gone when nothing is left to wait for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.contracts.messages import DueReply, HoldInput, UndoRequest
from orchestrator.engine.temporal.workflows.hold_containment import HoldContainment
from tests.harness.run_rig import Rig
from tests.harness.world import World

LEASE = UndoRequest(run_id="run_1", path="block", reason="its time is up", actor="system")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def start(rig: Rig) -> WorkflowHandle[HoldContainment, None]:
    return await rig.server.client.start_workflow(
        HoldContainment.run,
        HoldInput(containment_key="k"),
        id="hold-k",
        task_queue="t",
        start_signal="changed",
    )


async def test_a_lease_is_ended_when_its_time_is_up_and_not_before(rig: Rig, world: World) -> None:
    began = await rig.server.get_current_time()
    world.due_replies = [
        DueReply(wake_at=began + timedelta(hours=24), live=1),
        DueReply(ended=(LEASE,), live=1),
    ]
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
    assert world.undo_requests == [LEASE]
    assert timedelta(hours=24) <= await rig.took(handle) < timedelta(hours=25)


async def test_it_looks_at_once_when_a_lease_was_changed(rig: Rig, world: World) -> None:
    world.due_replies = [
        DueReply(wake_at=await rig.server.get_current_time() + timedelta(hours=24), live=1),
        DueReply(ended=(LEASE,), live=1),
    ]
    async with rig.worker():
        handle = await start(rig)
        await rig.until(lambda: len(world.due_replies) == 1)
        with rig.server.auto_time_skipping_disabled():
            await handle.signal(HoldContainment.changed)
            await handle.result()
    assert world.undo_requests == [LEASE]


async def test_what_cannot_be_lifted_is_tried_again_when_the_store_says_so(
    rig: Rig, world: World
) -> None:
    began = await rig.server.get_current_time()
    world.stuck = {"block"}
    again = began + timedelta(hours=1)
    world.due_replies = [
        DueReply(ended=(LEASE,)),
        DueReply(wake_at=again),
        DueReply(ended=(LEASE,)),
    ]
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
    assert world.undo_requests == [LEASE, LEASE]
    assert timedelta(minutes=59) < await rig.took(handle) < timedelta(hours=2)


async def test_the_device_is_looked_at_when_it_is_time_and_the_moment_is_remembered(
    rig: Rig, world: World
) -> None:
    began = await rig.server.get_current_time()
    at = began + timedelta(minutes=15)
    world.due_replies = [
        DueReply(wake_at=at, live=1),
        DueReply(check=True, live=1),
        DueReply(live=1),
    ]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.checked == ["k"]
    assert [given.checked_at is None for given in world.due_asked] == [True, True, False]
    assert (world.due_asked[-1].checked_at or began) >= at


async def test_a_check_that_does_not_come_off_keeps_no_lease_from_its_end(
    rig: Rig, world: World
) -> None:
    world.check_fails = True
    world.due_replies = [DueReply(check=True, live=1), DueReply(ended=(LEASE,), live=1)]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.checked == ["k"] * 3
    assert world.undo_requests == [LEASE]


async def test_a_lease_without_an_end_needs_nobody_to_wait_for_it(rig: Rig, world: World) -> None:
    world.due_replies = [DueReply(live=1)]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.undo_requests == []


@pytest.mark.parametrize("rounds", [620])
async def test_its_history_stays_short_however_often_it_looks(
    rig: Rig, world: World, rounds: int
) -> None:
    world.due_replies = [DueReply(wake_at=LONG_AGO, live=1)] * rounds
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
        length = (await rig.server.client.get_workflow_handle("hold-k").describe()).history_length
    assert world.due_replies == []
    assert length < 2_000
