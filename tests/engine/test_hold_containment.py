"""The workflow of a containment: ends of leases, drift checks, stuck releases, its own end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowHandle

from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.containment import DueReply, HoldInput
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.temporal.workflows.hold_containment import HoldContainment
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld, wake_after

LEASE = UndoRequest(
    run_id="run_1",
    path="block",
    cause=LeaseEndReason.EXPIRED,
    reason="the lease expired",
    actor="system",
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def start(rig: RunRig) -> WorkflowHandle[HoldContainment, None]:
    return await rig.server.client.start_workflow(
        HoldContainment.run,
        HoldInput(containment_key="k"),
        id="hold-k",
        task_queue="t",
        start_signal="changed",
    )


async def test_lease_is_ended_at_its_end_and_not_before(rig: RunRig, world: MemoryWorld) -> None:
    world.due_replies = [
        wake_after(timedelta(hours=24)),
        DueReply(ended=(LEASE,), live=1),
    ]
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
    assert world.undo_requests == [LEASE]
    assert timedelta(hours=24) <= await rig.took(handle) < timedelta(hours=25)


async def test_changed_lease_is_looked_at_immediately(rig: RunRig, world: MemoryWorld) -> None:
    world.due_replies = [
        wake_after(timedelta(hours=24)),
        DueReply(ended=(LEASE,), live=1),
    ]
    async with rig.worker():
        handle = await start(rig)
        await rig.until(lambda: len(world.due_replies) == 1)
        with rig.server.auto_time_skipping_disabled():
            await handle.signal(HoldContainment.changed)
            await handle.result()
    assert world.undo_requests == [LEASE]


async def test_stuck_release_is_retried_when_the_store_says(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.stuck = {"block"}
    world.due_replies = [
        DueReply(ended=(LEASE,)),
        wake_after(timedelta(hours=1), live=0),
        DueReply(ended=(LEASE,)),
    ]
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
    assert world.undo_requests == [LEASE, LEASE]
    assert timedelta(hours=1) <= await rig.took(handle) < timedelta(hours=2)


async def test_drift_check_runs_when_due_and_its_time_is_kept(
    rig: RunRig, world: MemoryWorld
) -> None:
    woken: list[datetime] = []

    def in_15_minutes(now: datetime) -> DueReply:
        woken.append(now + timedelta(minutes=15))
        return DueReply(wake_at=woken[0], live=1)

    world.due_replies = [
        in_15_minutes,
        DueReply(check=True, live=1),
        DueReply(live=1),
    ]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.checked == ["k"]
    assert [given.checked_at is None for given in world.due_asked] == [True, True, False]
    checked_at = world.due_asked[-1].checked_at
    assert checked_at is not None
    assert checked_at >= woken[0]


async def test_failed_drift_check_does_not_delay_the_end_of_a_lease(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.check_fails = True
    world.due_replies = [DueReply(check=True, live=1), DueReply(ended=(LEASE,), live=1)]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.checked == ["k"] * 3
    assert world.undo_requests == [LEASE]


async def test_workflow_ends_when_nothing_is_due(rig: RunRig, world: MemoryWorld) -> None:
    world.due_replies = [DueReply(live=1)]
    async with rig.worker():
        await (await start(rig)).result()
    assert world.undo_requests == []


@pytest.mark.parametrize("rounds", [620])
async def test_history_stays_short_over_many_checks(
    rig: RunRig, world: MemoryWorld, rounds: int
) -> None:
    world.due_replies = [DueReply(wake_at=LONG_AGO, live=1)] * rounds
    async with rig.worker():
        handle = await start(rig)
        await handle.result()
        length = (await rig.server.client.get_workflow_handle("hold-k").describe()).history_length
    assert world.due_replies == []
    assert length < 2_000
