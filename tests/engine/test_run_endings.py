"""Ends of runs: cancelled, failed, rolled back whole or in part, attempted again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.contracts.change import ApplyRequest, PlanRequest
from orchestrator.domain.run import RunStatus
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

BLOCK = "  - id: block\n    use: firewall.block_address\n    with: {address: 203.0.113.7}\n"
ISOLATE = "  - id: isolate\n    use: edr.isolate_host\n    with: {host: ws-042}\n"
LOOK = "  - id: look\n    use: reputation.lookup_address\n    with: {address: 203.0.113.7}\n    retry: {attempts: 1}\n"


def each(count: int, *, name: str = "each", rest: str = "") -> str:
    listed = ", ".join(f"'h-{n}'" for n in range(count))
    inner = "    steps: [{id: isolate_one, use: edr.isolate_host, with: {host: '${{ h }}'}}]\n"
    return (
        f"  - id: {name}\n    for_each: [{listed}]\n    as: h\n    at_most: {count}\n{inner}{rest}"
    )


async def test_change_under_way_at_a_cancel_is_undone(rig: RunRig, world: MemoryWorld) -> None:
    going, go = asyncio.Event(), asyncio.Event()

    async def held(_: ApplyRequest) -> None:
        going.set()
        await go.wait()

    world.before_apply = held
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{BLOCK}{ISOLATE}"))
        await going.wait()
        await handle.signal("cancel_run", "person:ann")
        await handle.signal("cancel_run", "person:bob")
        go.set()
        result = await handle.result()
    assert (result.status, result.error) == (RunStatus.CANCELLED, "cancelled by person:ann")
    assert (world.applied, world.undone, world.leases) == (["203.0.113.7"], ["203.0.113.7"], set())
    assert [end.status for end in world.ended] == [RunStatus.CANCELLED]


@pytest.mark.parametrize("waits_for", ["lifting", "busy"])
async def test_change_that_waits_for_another_run_is_cancelled_at_once(
    rig: RunRig, world: MemoryWorld, waits_for: str
) -> None:
    setattr(world, waits_for, 1_000_000)  # the release, or the call, of another run
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{BLOCK}"))
        await rig.until(lambda: 1_000_000 - getattr(world, waits_for) > 1)
        await handle.signal("cancel_run", "person:ann")
        result = await handle.result()
    assert (result.status, result.error) == (RunStatus.CANCELLED, "cancelled by person:ann")
    assert (world.applied, world.leases, world.held) == ([], set(), [])
    assert getattr(world, waits_for) > 0


async def test_run_cancelled_by_temporal_is_recorded(rig: RunRig, world: MemoryWorld) -> None:
    async with rig.worker():
        handle = await rig.start(rig.given(f"steps:\n{BLOCK}  - id: pause\n    wait: 7d\n"))
        await rig.until(lambda: "203.0.113.7" in world.in_force)
        await handle.cancel()
        result = await handle.result()
    assert (result.status, world.in_force) == (RunStatus.CANCELLED, set())
    assert len(world.ended) == 1


async def test_batch_is_cancelled_with_its_run(rig: RunRig, world: MemoryWorld) -> None:
    async with rig.worker():
        pause = "    steps: [{id: isolate_one, use: edr.isolate_host, with: {host: '${{ h }}'}}, {id: pause, wait: 7d}]\n"
        body = each(101).split("    steps:")[0] + pause
        handle = await rig.start(rig.given(f"steps:\n{body}"))
        await rig.until(lambda: len(world.in_force) >= 10)
        await handle.signal("cancel_run", "person:ann")
        result = await handle.result()
    assert (result.status, world.in_force) == (RunStatus.CANCELLED, set()), result.error


async def test_engine_bug_ends_the_run_and_rolls_it_back(rig: RunRig, world: MemoryWorld) -> None:
    world.broken = {"isolate_host"}
    result = await rig.run(f"steps:\n{BLOCK}{ISOLATE}")
    assert result.status is RunStatus.FAILED
    assert "inside the engine" in str(result.error)
    assert (world.undone, [end.status for end in world.ended]) == (
        ["ws-042", "203.0.113.7"],
        [RunStatus.FAILED],
    )


async def test_end_is_recorded_when_the_store_is_back(rig: RunRig, world: MemoryWorld) -> None:
    world.store_away = 7
    result = await rig.run(f"steps:\n{BLOCK}")
    assert (result.status, [end.status for end in world.ended]) == (
        RunStatus.COMPLETED,
        [RunStatus.COMPLETED],
    )


async def test_many_changes_are_rolled_back_in_their_own_history(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.fail_reads = 1
    async with rig.worker():
        handle = await rig.start(
            rig.given(f"steps:\n{each(130)}{BLOCK}{LOOK}on_failure: roll_back\n")
        )
        result = await handle.result()
        length = (await handle.describe()).history_length
    assert (result.status, world.in_force) == (RunStatus.ROLLED_BACK, set()), result.error
    assert world.undone[0] == "203.0.113.7", "what came after the list is newer than all of it"
    assert sorted(world.undone[1:31]) == sorted(f"h-{n}" for n in range(100, 130))
    assert length < 200


async def test_stuck_undo_is_reported_and_does_not_stop_others(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.fail_reads, world.stuck = 1, {"isolate"}
    result = await rig.run(f"steps:\n{BLOCK}{ISOLATE}{LOOK}on_failure: roll_back\n")
    assert (result.status, world.undone) == (RunStatus.FAILED, ["203.0.113.7"])
    assert "isolate could not be undone: the system refuses" in str(result.error)


async def test_step_without_a_change_holds_no_lease(rig: RunRig, world: MemoryWorld) -> None:
    def refuse(request: PlanRequest) -> None:
        world.generation += 1  # each plan finds another change
        world.lose_replies = 1

    world.before_plan = refuse
    result = await rig.run(f"steps:\n{BLOCK}    approve: {{question: Go?, within: 1m}}\n")
    assert (result.status, world.leases) == (RunStatus.DECLINED, set())


async def test_failed_items_are_counted_when_the_step_continues(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.fail_reads = 1
    inner = "    steps: [{id: look, use: reputation.lookup_address, with: {address: '${{ a }}'}, retry: {attempts: 1}}]\n"
    listed = f"  - id: each\n    for_each: [203.0.113.1, 203.0.113.2]\n    as: a\n    at_most: 2\n    at_once: 1\n    on_error: continue\n{inner}"
    block = BLOCK.replace(
        "    with", "    when: steps.each.failed == 1 and steps.each.items[1].ok\n    with"
    )
    result = await rig.run(f"steps:\n{listed}{block}")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error


async def test_results_inside_a_finished_block_are_carried(rig: RunRig, world: MemoryWorld) -> None:
    inside = "  - id: both\n    parallel: [{id: one, use: reputation.lookup_address, with: {address: 203.0.113.7}}]\n"
    block = BLOCK.replace("    with", "    when: steps.one.malicious == 7\n    with")
    carried: dict[str, Any] = {"both": {"one": {"malicious": 7}}, "both/one": {"malicious": 7}}
    result = await rig.run(f"steps:\n{inside}{block}", carried=carried)
    assert (result.status, world.reads, world.applied) == (
        RunStatus.COMPLETED,
        [],
        ["203.0.113.7"],
    ), result.error


CALLED = """\
playbook: other
version: 1
title: Other
owner: soc
inputs:
  address: {type: address}
  note: {type: text, required: false}
steps:
  - id: block
    use: firewall.block_address
    with: {address: "${{ inputs.address }}"}
  - id: look
    when: inputs.note is none
    use: reputation.lookup_address
    with: {address: "${{ inputs.address }}"}
    retry: {attempts: 1}
on_failure: roll_back
"""


async def test_called_playbook_gets_canonical_inputs(rig: RunRig, world: MemoryWorld) -> None:
    body = "inputs:\n  address: {type: text}\nsteps:\n  - id: sub\n    call: other@1\n    with: {address: '${{ inputs.address }}'}\n"
    result = await rig.run(body, called=rig.plan(CALLED), inputs={"address": "::ffff:203.0.113.7"})
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["203.0.113.7"]), result.error
    assert [call.ref.path for call in world.reads] == ["sub/look"]


async def test_failed_called_playbook_rolls_back_only_its_own_changes(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.fail_reads = 1
    sub = (
        "  - id: sub\n    call: other@1\n    with: {address: 203.0.113.9}\n    on_error: continue\n"
    )
    result = await rig.run(f"steps:\n{BLOCK}{sub}{ISOLATE}", called=rig.plan(CALLED))
    assert (result.status, world.undone) == (RunStatus.COMPLETED, ["203.0.113.9"]), result.error


async def test_lost_reply_of_a_ticket_is_requested_again(rig: RunRig, world: MemoryWorld) -> None:
    world.lose_replies = 1
    result = await rig.run("steps:\n  - id: ticket\n    use: tickets.open\n    with: {title: T}\n")
    assert (result.status, world.applied) == (RunStatus.COMPLETED, ["T", "T"]), result.error


@pytest.mark.parametrize(("cached", "count"), [(0, 8), (1, 101)])
async def test_run_evicted_from_memory_ends_the_same(
    rig: RunRig, world: MemoryWorld, cached: int, count: int
) -> None:
    world.fail_reads = 1
    async with rig.worker(max_cached_workflows=cached):
        started = rig.given(
            f"steps:\n{each(count)}{BLOCK}  - id: pause\n    wait: 1h\n{LOOK}on_failure: roll_back\n"
        )
        result = await (await rig.start(started)).result()
    assert (result.status, world.in_force) == (RunStatus.ROLLED_BACK, set()), result.error
    assert len(world.applied) == count + 1


async def test_oversized_result_fails_and_names_its_step(rig: RunRig, world: MemoryWorld) -> None:
    world.tags = ["x" * 1000] * 300
    result = await rig.run(f"steps:\n{LOOK}")
    assert result.status is RunStatus.FAILED
    assert "step look: its result has" in str(result.error)
