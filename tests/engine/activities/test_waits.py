"""A step says what it waits for: another change of its target, a kill switch, its undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from orchestrator.cli.commands.respond.run_lines import format_waiting
from orchestrator.domain.run import (
    StepState,
    WaitingForKillSwitch,
    WaitingForRetry,
    WaitingForTarget,
)
from orchestrator.policy.stops import kill_switches
from orchestrator.runs.queries import get_run
from orchestrator.runs.views import StepView
from orchestrator.store.tables import ContainmentRow, EffectRow, StepRow
from tests.engine.activities.test_release_failures import undo
from tests.harness.activity_rig import START, ActivityRig, rig, run_row


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        await made.add(run_row("run_9"))
        yield made


async def step(bench: ActivityRig, run: str = "run_1") -> StepView:
    (found,) = (await get_run(bench.rt, run)).steps
    return found


async def contain(bench: ActivityRig) -> None:
    call = bench.block("run_1")
    await bench.apply(call, await bench.plan(call))


async def test_undo_that_a_kill_switch_stops_says_so_until_it_is_lifted(bench: ActivityRig) -> None:
    await contain(bench)
    ann = "person:ann"
    await kill_switches.engage(bench.rt, "global", "*", "drill", actor=ann, stop_releases=True)
    with pytest.raises(ApplicationError):
        await undo(bench)
    shown = await step(bench)
    assert isinstance(shown.waiting_for, WaitingForKillSwitch)
    assert shown.state is StepState.APPLIED
    assert "drill" in shown.waiting_for.reason
    assert "drill; checked again at " in format_waiting(shown.waiting_for.model_dump(mode="json"))
    await kill_switches.lift(bench.rt, "global", "*", actor=ann)
    assert (await undo(bench)).outcome == "undone"
    shown = await step(bench)
    assert (shown.state, shown.waiting_for) == (StepState.UNDONE, None)


async def test_undo_on_a_device_that_is_away_says_when_it_is_tried_again(
    bench: ActivityRig,
) -> None:
    await contain(bench)
    bench.worlds["firewall"].inject(kind="status", status=503, times=2)
    for attempt, pause in ((1, 1), (2, 2)):
        with pytest.raises(ApplicationError):
            await undo(bench, attempt=attempt)
        waiting = (await step(bench)).waiting_for
        assert isinstance(waiting, WaitingForRetry)
        assert (waiting.attempt, waiting.attempts) == (attempt, None)
        assert waiting.retry_at == bench.rt.clock() + timedelta(seconds=pause)
    assert format_waiting(waiting.model_dump(mode="json")).startswith("try 3 at ")
    bench.worlds["firewall"].inject(kind="status", status=403, times=1)
    assert (await undo(bench, attempt=3)).outcome == "stuck"
    waiting = (await step(bench)).waiting_for
    (containment,) = await bench.rows(ContainmentRow)
    assert isinstance(waiting, WaitingForRetry)
    assert waiting.retry_at == containment.retry_at
    bench.worlds["firewall"].clear_faults()
    assert (await undo(bench)).outcome == "undone"
    assert (await step(bench)).waiting_for is None


async def test_undo_that_is_tried_for_days_keeps_its_longest_pause(bench: ActivityRig) -> None:
    await contain(bench)
    bench.worlds["firewall"].inject(kind="status", status=503)
    with pytest.raises(ApplicationError):
        await undo(bench, attempt=5000)
    waiting = (await step(bench)).waiting_for
    assert waiting is not None
    assert waiting.retry_at == bench.rt.clock() + timedelta(minutes=5)


async def test_change_waits_for_another_run_that_makes_it(bench: ActivityRig) -> None:
    first, second = bench.block("run_1"), bench.block("run_9")
    planned = await bench.plan(second)
    await bench.apply(first, await bench.plan(first))
    async with bench.rt.store.write() as session:  # its worker is in the middle of the call
        (effect,) = await bench.rows(EffectRow)
        (made,) = [row for row in await bench.rows(StepRow) if row.run_id == "run_1"]
        effect.state, made.state = effect.state.__class__.INTENDED, StepState.INTENDED
        await session.merge(effect)
        await session.merge(made)
    assert (await bench.apply(second, planned)).outcome == "busy"
    shown = await step(bench, "run_9")
    assert shown.state is StepState.WAITING
    assert isinstance(shown.waiting_for, WaitingForTarget)
    assert shown.waiting_for.run_id == "run_1"
    text = format_waiting(shown.waiting_for.model_dump(mode="json"))
    assert text.endswith("; checked again in a few seconds")


async def test_plan_waits_for_the_release_of_its_target(bench: ActivityRig) -> None:
    await contain(bench)
    async with bench.rt.store.write() as session:
        (containment,) = await bench.rows(ContainmentRow)
        containment.begin_lifting(START + timedelta(minutes=2))
        await session.merge(containment)
    assert (await bench.plan(bench.block("run_9"))).busy
    shown = await step(bench, "run_9")
    assert isinstance(shown.waiting_for, WaitingForTarget)
    assert (shown.state, shown.waiting_for.run_id) == (StepState.WAITING, None)
    assert "is being lifted" in shown.waiting_for.reason
