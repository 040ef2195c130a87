"""Overlapping containments: what the live leases of a connection cover together stays contained."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.nftables.connector import Nftables
from connectors.nftables.emulator import EmulatedNft
from orchestrator.containments.device_reads import check_released
from orchestrator.containments.resolve import CheckReleased
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Rejected
from orchestrator.engine.activities.check_drift import DriftCheck
from orchestrator.store.tables import ContainmentRow, EffectRow, TaskRow
from tests.harness.activity_rig import ActivityRig, rig
from tests.harness.overlap_rig import OverlapRig, addresses_of

ONE, NET, SUB = "192.0.2.7", "192.0.2.0/28", "192.0.2.4/30"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


@pytest.fixture
def device(tmp_path: Path) -> EmulatedNft:
    return EmulatedNft(tmp_path)


@pytest.fixture
async def edge(bench: ActivityRig, device: EmulatedNft) -> OverlapRig:
    made = OverlapRig(bench)
    await made.connect({"table": "soar", "nft": str(device.nft)})
    return made


def blocked(device: EmulatedNft) -> set[str]:
    return addresses_of(device.in_force()["block4"])


def covered(*targets: str) -> set[str]:
    return {str(address) for target in targets for address in ip_network(target)}


async def states(edge: OverlapRig) -> dict[str, tuple[str, bool]]:
    rows = await edge.bench.rows(ContainmentRow)
    return {row.target_value: (row.state.value, row.ours) for row in rows}


@pytest.mark.parametrize(
    ("first", "second"),
    [(ONE, NET), (NET, ONE), (SUB, NET), (NET, SUB), (ONE, f"{ONE}/32"), (f"{ONE}/32", ONE)],
)
async def test_what_the_remaining_lease_covers_stays_and_is_lifted_with_it(
    edge: OverlapRig, device: EmulatedNft, first: str, second: str
) -> None:
    await edge.block("a", first)
    await edge.block("b", second)
    assert blocked(device) == covered(first, second)
    await edge.release("a")
    assert blocked(device) == covered(second)
    assert await states(edge) == {first: ("lifted", False), second: ("held", True)}
    assert (await edge.release("b")).outcome in {"undone", "kept"}
    assert blocked(device) == set()
    assert all(state == ("lifted", False) for state in (await states(edge)).values())
    assert {row.state for row in await edge.bench.rows(EffectRow)} == {"undone"}


async def test_wide_block_shrinks_to_the_two_addresses_that_others_hold(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.block("a", NET)
    await edge.block("b", "192.0.2.1")
    await edge.block("c", "192.0.2.9")
    await edge.release("a")
    assert blocked(device) == {"192.0.2.1", "192.0.2.9"}
    await edge.release("c")
    assert blocked(device) == {"192.0.2.1"}
    await edge.release("b")
    assert blocked(device) == set()


async def test_what_was_blocked_before_stays(edge: OverlapRig, device: EmulatedNft) -> None:
    device.put("block4", {"elem": {"val": "192.0.2.3", "comment": "by hand"}})
    await edge.block("a", ONE)
    await edge.block("b", NET)
    await edge.release("a")
    assert blocked(device) == covered(NET)
    await edge.release("b")
    assert blocked(device) == {"192.0.2.3"}


async def test_overlapping_blocks_that_are_planned_at_once_both_apply(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    one, net = await edge.plan("a", ONE), await edge.plan("b", NET)
    await edge.bench.apply(edge.call("a", ONE), one)
    await edge.bench.apply(edge.call("b", NET), net)
    assert blocked(device) == covered(NET)
    await edge.release("b")
    assert blocked(device) == {ONE}
    await edge.release("a")
    assert blocked(device) == set()


async def test_overlapping_blocks_that_are_refused_at_once_never_were_in_force(
    edge: OverlapRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system refuses both; the second refusal is recorded while the first is on its way."""
    one, net = await edge.plan("a", ONE), await edge.plan("b", NET)
    refused: list[str] = []

    async def refuse(*_given: object) -> object:
        if not refused:
            refused.append("a")
            with pytest.raises(ApplicationError, match="the set is locked"):
                await edge.bench.apply(edge.call("b", NET), net)
        raise Rejected("the set is locked")

    monkeypatch.setattr(Nftables, "apply", refuse)
    with pytest.raises(ApplicationError, match="the set is locked"):
        await edge.bench.apply(edge.call("a", ONE), one)
    for run in "ab":
        await edge.release(run)
    assert await states(edge) == {ONE: ("lifted", False), NET: ("lifted", False)}
    assert not any(row.was_in_force for row in await edge.bench.rows(ContainmentRow))


async def test_part_that_was_lifted_while_a_wider_block_was_planned_is_planned_again(
    edge: OverlapRig, device: EmulatedNft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device is read, the address is released, and only then the network's lease counts."""
    from orchestrator.engine.activities import plan as planning

    await edge.block("a", ONE)
    read = planning.PlanChange._plan_on_device
    released: list[str] = []

    async def read_then_release(self: object, *given: object) -> object:
        change = await read(self, *given)  # type: ignore[arg-type]
        if not released:
            released.append("a")
            await edge.release("a")
        return change

    monkeypatch.setattr(planning.PlanChange, "_plan_on_device", read_then_release)
    await edge.block("b", NET)
    assert blocked(device) == covered(NET)


async def test_overlapping_block_waits_while_a_part_of_it_is_lifted(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.block("a", ONE)
    device.inject(kind="lost_reply")
    with pytest.raises(ApplicationError):
        await edge.release("a")  # it happened, and no one knows
    planned = await edge.plan("b", NET)
    assert "which overlaps network 192.0.2.0/28, is being lifted" in (planned.busy or "")
    await edge.release("a")
    await edge.block("b", NET)
    assert blocked(device) == covered(NET)


async def test_release_repeated_after_a_crash_keeps_what_others_hold(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.block("a", NET)
    await edge.block("b", ONE)
    device.inject(kind="lost_reply")
    with pytest.raises(ApplicationError):
        await edge.release("a")
    assert blocked(device) == {ONE}
    assert (await edge.release("a")).outcome == "undone"
    assert blocked(device) == {ONE}
    await edge.release("b")
    assert blocked(device) == set()


@pytest.mark.parametrize("seed", range(4))
async def test_overlapping_releases_at_once_leave_nothing(
    edge: OverlapRig, device: EmulatedNft, seed: int
) -> None:
    targets = {"a": ONE, "b": NET, "c": SUB, "d": f"{ONE}/32"}
    order = list(targets)
    random.Random(seed).shuffle(order)
    for name in order:
        await edge.block(name, targets[name])

    async def release(name: str) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    await edge.release(name)
                except ApplicationError as error:
                    assert error.type == "Unavailable"
                    await asyncio.sleep(0.01)
                else:
                    return

    kept = order.pop()
    await asyncio.gather(*map(release, order))
    assert blocked(device) == covered(targets[kept])
    await release(kept)
    assert blocked(device) == set()


async def test_release_that_waits_for_another_undoes_what_that_kept_for_it(
    edge: OverlapRig, device: EmulatedNft, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part's lease ends while the whole is being lifted, and its release waits."""
    await edge.block("a", NET)
    await edge.block("b", SUB)
    undo = Nftables.undo
    waited: list[str] = []

    async def end_the_other_first(self: Nftables, *given: object) -> None:
        if not waited:
            waited.append("b")
            with pytest.raises(ApplicationError, match="is being lifted"):
                await edge.release("b")
        await undo(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Nftables, "undo", end_the_other_first)
    await edge.release("a")
    assert blocked(device) == covered(SUB)
    assert (await edge.release("b")).outcome == "undone"
    assert blocked(device) == set()


async def test_drift_check_reads_a_block_that_another_effect_covers(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.block("a", NET)
    planned = await edge.block("b", ONE)
    await edge.release("a")
    key, check = planned.change.containment_key, DriftCheck(edge.bench.rt).check_drift
    await ActivityEnvironment().run(check, key)
    assert await edge.bench.rows(TaskRow) == []
    device.alter(sets={"block4": [], "block6": []})
    await ActivityEnvironment().run(check, key)
    (task,) = await edge.bench.rows(TaskRow)
    assert "no longer shows block_address of address 192.0.2.7" in task.summary


async def test_device_lost_part_and_whole_and_both_are_applied_again(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.bench.policy({"drift": {"every": "1h", "then": "reapply"}})
    keys = [
        (await edge.block(run, target)).change.containment_key
        for run, target in (("a", ONE), ("b", NET))
    ]
    device.alter(sets={"block4": [], "block6": []})
    for key in keys:
        await ActivityEnvironment().run(DriftCheck(edge.bench.rt).check_drift, key)
    assert blocked(device) == covered(NET)
    await edge.release("a")
    await edge.release("b")
    assert blocked(device) == set()


async def test_resolved_containment_is_gone_although_others_cover_it(
    edge: OverlapRig, device: EmulatedNft
) -> None:
    await edge.block("a", NET)
    planned = await edge.block("b", ONE)
    async with edge.bench.rt.store.write() as session:
        row = await session.get(ContainmentRow, planned.change.containment_key)
        assert row is not None
        row.state = ContainmentState.STUCK
    answer = await check_released(
        edge.bench.rt, CheckReleased(containment_key=planned.change.containment_key)
    )
    assert answer.is_gone, "the network's lease keeps the address blocked"
