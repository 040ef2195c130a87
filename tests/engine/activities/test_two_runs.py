"""Many runs that contain the same target at once: one effect, lifted once after the last."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.palo_alto.connector import PaloAlto
from orchestrator.contracts.change import UndoReply, UndoRequest
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.store.tables import AuditEventRow, ContainmentRow, LeaseRow
from tests.harness.activity_rig import ActivityRig, UndoChange, rig, run_row

RUNS = 8
T = TypeVar("T")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        await made.add(*(run_row(f"run_{number}") for number in (0, *range(4, 20))))
        yield made


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Retry what is unavailable, like Temporal."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await work()
            except ApplicationError as error:
                if error.type != "Unavailable":
                    raise
                await asyncio.sleep(0.01)


async def contain(bench: ActivityRig, run: str) -> None:
    async with asyncio.timeout(30):
        while (planned := await patiently(lambda: bench.plan(bench.block(run)))).busy:
            await asyncio.sleep(0.01)
        if planned.change.changed:
            while (await patiently(lambda: bench.apply(bench.block(run), planned))).outcome == (
                "busy"
            ):
                await asyncio.sleep(0.01)


async def undo(bench: ActivityRig, run: str) -> UndoReply:
    request = UndoRequest(
        run_id=run,
        path="block",
        cause=LeaseEndReason.ROLLED_BACK,
        reason="rolled back",
        actor=f"run:{run}",
    )
    return await patiently(lambda: ActivityEnvironment().run(UndoChange(bench.rt).undo, request))


@pytest.mark.parametrize("seed", range(3))
async def test_two_runs_make_one_effect_and_one_lift(bench: ActivityRig, seed: int) -> None:
    names = [f"run_{number}" for number in range(RUNS)]
    random.Random(seed).shuffle(names)
    await asyncio.gather(*(contain(bench, name) for name in names))
    assert bench.effects("firewall") == 1
    assert len(await bench.rows(LeaseRow)) == RUNS
    replies = await asyncio.gather(*(undo(bench, name) for name in names))
    assert [reply.outcome for reply in replies].count("undone") == 1
    assert [reply.outcome for reply in replies].count("kept") == RUNS - 1
    assert bench.effects("firewall") == 2
    assert [row.state for row in await bench.rows(ContainmentRow)] == ["lifted"]
    last = [row.kind for row in await bench.rows(AuditEventRow, AuditEventRow.number)][-1]
    assert last == "containment:undo:applied"


@pytest.mark.parametrize("seed", range(3))
async def test_overlapping_runs_leave_the_target_contained(bench: ActivityRig, seed: int) -> None:
    await contain(bench, "run_0")
    chance = random.Random(seed)

    async def late(work: Awaitable[T]) -> T:
        await asyncio.sleep(chance.random() / 20)
        return await work

    await asyncio.gather(
        late(undo(bench, "run_0")),
        *(late(contain(bench, f"run_{number}")) for number in range(1, 5)),
    )
    (held,) = await bench.rows(ContainmentRow)
    assert (held.state, held.ours) == ("held", True)
    planned = await bench.plan(bench.block("run_9"))
    assert not planned.change.changed


async def test_release_of_a_step_waits_for_its_call_though_another_lease_holds_the_target(
    bench: ActivityRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the other run would contain the same again, and undo it a second time."""
    request = UndoRequest(
        run_id="run_1",
        path="block",
        cause=LeaseEndReason.RELEASED,
        reason="released by ann",
        actor="person:ann",
    )
    first, second = [await bench.plan(bench.block(run)) for run in ("run_1", "run_2")]
    apply = PaloAlto.apply
    seen: list[str] = []

    async def release_during_the_call(self: PaloAlto, *given: object) -> object:
        with pytest.raises(ApplicationError, match="run run_1 is applying"):
            await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)
        seen.append((await bench.apply(bench.block("run_2"), second)).outcome)
        return await apply(self, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as slow:
        slow.setattr(PaloAlto, "apply", release_during_the_call)
        await bench.apply(bench.block("run_1"), first)
    assert seen == ["busy"]
    assert (await ActivityEnvironment().run(UndoChange(bench.rt).undo, request)).outcome == "kept"
    assert (await bench.apply(bench.block("run_2"), second)).outcome == "applied"
    assert bench.effects("firewall") == 1
    assert (await undo(bench, "run_2")).outcome == "undone"
    assert bench.effects("firewall") == 2
