"""A host or an account that runs name differently is one containment, lifted once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from orchestrator.contracts.change import PlanReply, PlanRequest, StepCall, UndoReply, UndoRequest
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.store.tables import ContainmentRow, LeaseRow
from tests.harness.activity_rig import ActivityRig, UndoChange, rig, run_row

HOST = ("ws-042", "WS-042.corp.example", "10.20.0.42", f"{1:032x}")
ACCOUNT = ("j.doe@corp.example", "j.doe", f"00u{1:017d}", "J.Doe@corp.example")
SYSTEMS = {
    "edr": ("isolate_host", "release_host", "host"),
    "identity": ("suspend_user", "unsuspend_user", "user"),
}
ALLOWED = ("contain", "restore")
both = pytest.mark.parametrize(("system", "names"), [("edr", HOST), ("identity", ACCOUNT)])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        await made.add(run_row("run_4"), run_row("run_5"))
        await made.policy({"rules": [{"effect": each, "allow": True} for each in ALLOWED]})
        yield made


def contain(bench: ActivityRig, system: str, run: str, name: str) -> StepCall:
    action, _, field = SYSTEMS[system]
    given = {field: name}
    return bench.call(system, system, action, Effect.CONTAIN, given, run=run, path="contain")


async def plan_restore(bench: ActivityRig, system: str, name: str) -> tuple[StepCall, PlanReply]:
    _, action, field = SYSTEMS[system]
    call = bench.call(
        system, system, action, Effect.RESTORE, {field: name}, run="run_5", path="restore"
    )
    request = PlanRequest(call=call, lease=True)
    return call, await ActivityEnvironment().run(PlanChange(bench.rt).plan, request)


async def release(bench: ActivityRig, run: str) -> UndoReply:
    request = UndoRequest(
        run_id=run,
        path="contain",
        cause=LeaseEndReason.ROLLED_BACK,
        reason="over",
        actor=f"run:{run}",
    )
    return await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)


async def contain_under_all(bench: ActivityRig, system: str, names: tuple[str, ...]) -> None:
    first, *others = names
    await bench.contained(contain(bench, system, "run_1", first))
    for number, name in enumerate(others, 2):
        planned = await bench.plan(contain(bench, system, f"run_{number}", name))
        assert not planned.change.changed


@both
async def test_target_with_several_names_is_lifted_once_after_the_last_lease(
    bench: ActivityRig, system: str, names: tuple[str, ...]
) -> None:
    await contain_under_all(bench, system, names)
    assert len(await bench.rows(ContainmentRow)) == 1
    assert len(await bench.rows(LeaseRow)) == len(names)
    for number in range(1, len(names)):
        assert (await release(bench, f"run_{number}")).outcome == "kept"
    assert bench.effects(system) == 1
    assert (await release(bench, f"run_{len(names)}")).outcome == "undone"
    assert bench.effects(system) == 2
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]


@both
async def test_restore_under_one_name_ends_the_leases_under_all_names(
    bench: ActivityRig, system: str, names: tuple[str, ...]
) -> None:
    await contain_under_all(bench, system, names)
    call, planned = await plan_restore(bench, system, names[-1])
    assert {holder.run for holder in planned.change.holders} == {
        f"run_{number}" for number in range(1, len(names) + 1)
    }
    assert (await bench.apply(call, planned)).outcome == "applied"
    assert {row.state for row in await bench.rows(LeaseRow)} == {"ended"}
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
