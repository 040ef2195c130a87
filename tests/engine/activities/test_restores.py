"""Restores: a step that lifts a containment ends its leases, and nothing contains it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.nftables.emulator import EmulatedNft
from orchestrator.containments.queries import EVERY, list_containments
from orchestrator.contracts.change import PlanReply, PlanRequest, StepCall
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.activities.check_drift import DriftCheck
from orchestrator.engine.activities.hold import HoldTarget
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.store.tables import AuditEventRow, ContainmentRow, LeaseRow, StepRow, TaskRow
from tests.harness.activity_rig import ActivityRig, rig
from tests.harness.overlap_rig import OverlapRig, addresses_of

ADDRESS = "198.51.100.7"
ALLOW = {"rules": [{"effect": "restore", "allow": True}]}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


def unblock(bench: ActivityRig, run: str, address: str = ADDRESS) -> StepCall:
    given = {"address": address}
    return bench.call(
        "firewall", "firewall", "unblock_address", Effect.RESTORE, given, run=run, path="unblock"
    )


async def planned(bench: ActivityRig, run: str) -> PlanReply:
    request = PlanRequest(call=unblock(bench, run), lease=True)
    return await ActivityEnvironment().run(PlanChange(bench.rt).plan, request)


def shown(bench: ActivityRig) -> list[str]:
    return bench.worlds["firewall"].in_force()["addresses"]  # type: ignore[no-any-return]


async def test_plan_names_who_holds_the_target_and_the_policy_asks(bench: ActivityRig) -> None:
    await bench.contained(bench.block("run_1"))
    other = await planned(bench, "run_2")
    (holder,) = other.change.holders
    assert (holder.run, holder.playbook, holder.lease) == ("run_1", "contain", "run_1/block")
    assert other.verdict.outcome is Verdict.ASK
    assert other.verdict.rule == "default:held"
    assert "run run_1 (contain) holds address 198.51.100.7 until it is released" in (
        other.verdict.reasons
    )
    own = await planned(bench, "run_1")
    assert own.verdict.outcome is Verdict.ALLOW
    assert own.change.digest == other.change.digest


async def test_restore_ends_the_leases_and_the_containment_is_lifted(bench: ActivityRig) -> None:
    await bench.policy(ALLOW | {"drift": {"every": "1m", "then": "reapply"}})
    first = await bench.contained(bench.block("run_1"))
    await bench.plan(bench.block("run_2"))  # shares it
    plan = await planned(bench, "run_3")
    assert (await bench.apply(unblock(bench, "run_3"), plan)).outcome == "applied"
    assert shown(bench) == []
    assert {(row.state, row.end_reason, row.ended_by) for row in await bench.rows(LeaseRow)} == {
        ("ended", LeaseEndReason.RESTORED, "run:run_3")
    }
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
    steps = {(row.run_id, row.path): row.state for row in await bench.rows(StepRow)}
    assert steps["run_1", "block"] == "released"
    ended = [row for row in await bench.rows(AuditEventRow) if row.kind.endswith("lease:ended")]
    assert {(row.subject, row.actor) for row in ended} == {
        ("run_1", "run:run_3"),
        ("run_2", "run:run_3"),
    }
    key = first.change.containment_key
    bench.pass_time(timedelta(hours=1))
    await ActivityEnvironment().run(DriftCheck(bench.rt).check_drift, key)
    assert shown(bench) == []
    assert await ActivityEnvironment().run(HoldTarget(bench.rt).list_due, key) == []
    assert await bench.rows(TaskRow) == []


async def test_restore_of_what_the_owner_unblocked_ends_the_leases_too(bench: ActivityRig) -> None:
    await bench.policy(ALLOW)
    await bench.contained(bench.block("run_1"))
    bench.worlds["firewall"].tags.clear()  # type: ignore[attr-defined]
    plan = await planned(bench, "run_2")
    assert (plan.change.changes_system, plan.change.changed) == (False, True)
    assert (await bench.apply(unblock(bench, "run_2"), plan)).outcome == "applied"
    assert [row.state for row in await bench.rows(LeaseRow)] == ["ended"]


async def test_lease_that_came_after_the_plan_is_not_ended_without_a_word(
    bench: ActivityRig,
) -> None:
    await bench.policy(ALLOW)
    await bench.contained(bench.block("run_1"))
    plan = await planned(bench, "run_3")
    await bench.plan(bench.block("run_2"))
    reply = await bench.apply(unblock(bench, "run_3"), plan)
    assert (reply.outcome, "run run_2 (contain) holds" in reply.detail) == ("outdated", True)
    assert shown(bench) == [ADDRESS]
    assert {row.state for row in await bench.rows(LeaseRow)} == {"live"}


async def test_refused_restore_ends_nothing(bench: ActivityRig) -> None:
    await bench.policy(ALLOW)
    planned_block = await bench.contained(bench.block("run_1"))
    plan = await planned(bench, "run_2")
    bench.worlds["firewall"].inject(kind="status", status=403, times=9)
    with pytest.raises(ApplicationError):
        await bench.apply(unblock(bench, "run_2"), plan)
    bench.worlds["firewall"].clear_faults()
    assert [row.state for row in await bench.rows(LeaseRow)] == ["live"]
    (row,) = await bench.rows(ContainmentRow)
    assert (row.state, row.lifting_until) == ("held", None)
    await ActivityEnvironment().run(
        DriftCheck(bench.rt).check_drift, planned_block.change.containment_key
    )
    assert await bench.rows(TaskRow) == []


async def test_device_is_the_restores_alone_until_its_reply_is_known(bench: ActivityRig) -> None:
    await bench.policy(ALLOW | {"drift": {"every": "1m", "then": "reapply"}})
    block = await bench.contained(bench.block("run_1"))
    plan = await planned(bench, "run_2")
    bench.worlds["firewall"].inject(kind="lost_reply", times=1)
    with pytest.raises(ApplicationError):
        await bench.apply(unblock(bench, "run_2"), plan)
    assert shown(bench) == []
    await ActivityEnvironment().run(DriftCheck(bench.rt).check_drift, block.change.containment_key)
    assert shown(bench) == []
    assert (await bench.plan(bench.block("run_3"))).busy
    assert (await bench.apply(unblock(bench, "run_2"), plan)).outcome == "applied"
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]


async def test_undone_restore_revives_the_leases_that_it_ended(
    bench: ActivityRig, tmp_path: Path
) -> None:
    await bench.policy(ALLOW)
    device = EmulatedNft(tmp_path)
    edge = OverlapRig(bench)
    await edge.connect({"table": "soar", "nft": str(device.nft)})
    await edge.block("a", ADDRESS)
    await edge.unblock("b", ADDRESS)
    assert device.in_force()["block4"] == []
    assert (await edge.release("b", "unblock")).outcome == "undone"
    assert device.in_force()["block4"] == [ADDRESS]
    (row,) = await bench.rows(ContainmentRow)
    assert (row.state, row.ours) == ("held", True)
    assert [lease.state for lease in await bench.rows(LeaseRow)] == ["live"]
    assert (await edge.release("a")).outcome == "undone"
    assert device.in_force()["block4"] == []


async def test_restore_of_a_network_ends_all_leases_within_it_and_of_a_part_is_refused(
    bench: ActivityRig, tmp_path: Path
) -> None:
    await bench.policy(ALLOW)
    device = EmulatedNft(tmp_path)
    edge = OverlapRig(bench)
    await edge.connect({"table": "soar", "nft": str(device.nft)})
    await edge.block("a", ADDRESS)
    await edge.block("b", "198.51.100.0/28")
    with pytest.raises(ApplicationError, match=r"contained as part of network 198\.51\.100\.0/28"):
        await edge.plan("c", ADDRESS, restore=True)
    assert len(addresses_of(device.in_force()["block4"])) == 16
    await edge.unblock("c", "198.51.100.0/24")
    assert device.in_force()["block4"] == []
    assert {row.state for row in await bench.rows(ContainmentRow)} == {"lifted"}
    assert {row.state for row in await bench.rows(LeaseRow)} == {"ended"}


async def test_what_never_was_contained_is_not_listed_as_lifted(bench: ActivityRig) -> None:
    plan = await bench.plan(bench.block("run_1"))
    bench.worlds["firewall"].inject(kind="status", status=403, times=9)
    with pytest.raises(ApplicationError):
        await bench.apply(bench.block("run_1"), plan)
    bench.worlds["firewall"].clear_faults()
    await OverlapRig(bench).release("run_1", cause=LeaseEndReason.NOT_APPLIED)
    assert (await list_containments(bench.rt, EVERY)).items == []
    await bench.contained(bench.block("run_2"))
    await OverlapRig(bench).release("run_2")
    (item,) = (await list_containments(bench.rt, EVERY)).items
    assert (item.state, item.lifted_at) == ("lifted", bench.rt.clock())
