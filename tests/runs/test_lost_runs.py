"""Runs that Temporal lost continue from their recorded steps, or end with a task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update
from temporalio.client import Client

from orchestrator.domain.change import Effect
from orchestrator.domain.run import RunStatus
from orchestrator.playbook.plan import Plan, Use, Wait
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.lost import MAX_RECOVERIES, recover_lost_runs, recover_run
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import PlaybookRow, RunRow, TaskRow
from tests.harness.activity_rig import START, ActivityRig, run_row
from tests.harness.temporal_rig import on_temporal

BLOCK = Use(
    id="block",
    connection="firewall",
    capability="firewall",
    action="block_address",
    effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"},
    hold=3600,
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[ActivityRig, Client]]:
    async with on_temporal(tmp_path) as (made, client):
        async with made.rt.store.write() as session:  # the rig's own runs have no workflow
            await session.execute(update(RunRow).values(status=RunStatus.COMPLETED))
        yield made, client


async def _start(made: ActivityRig, client: Client, pause: int) -> None:
    """Start a run that blocks an address and then waits."""
    steps = (BLOCK, Wait(id="pause", seconds=pause))
    plan = Plan(
        playbook="whole", version=1, title="t", owner="o", steps=steps, on_failure="roll_back"
    )
    columns = {"source": "", "published_at": START, "published_by": "x"}
    document = plan.model_dump(mode="json")
    row = PlaybookRow(
        name="whole", version=1, digest=plan.digest, title="t", owner="o", plan=document, **columns
    )
    await made.add(row)
    await made.add(run_row("run_w", playbook="whole", plan_digest=plan.digest, dispatched=False))
    assert await dispatch(made.rt, client, ["run_w"]) == 1
    await _until_step(made, "pause")


async def _until_step(made: ActivityRig, id_: str) -> None:
    async with asyncio.timeout(30):
        while id_ not in {step.id for step in (await get_run(made.rt, "run_w")).steps}:
            await asyncio.sleep(0.05)


async def _ended(client: Client, attempt: int) -> None:
    async with asyncio.timeout(30):
        await client.get_workflow_handle(f"run-run_w-{attempt}").result()


async def test_run_whose_workflow_was_terminated_continues_from_its_recorded_steps(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await _start(made, client, pause=1)
    await client.get_workflow_handle("run-run_w-1").terminate("lost")
    assert await recover_lost_runs(made.rt, client) == 1
    await _ended(client, attempt=2)
    run = await get_run(made.rt, "run_w")
    assert (run.status, run.attempt) == ("completed", 2)
    assert made.effects("firewall") == 1


async def test_run_that_temporal_has_is_left_alone(bench: tuple[ActivityRig, Client]) -> None:
    made, client = bench
    await _start(made, client, pause=600)
    assert await recover_lost_runs(made.rt, client) == 0
    assert not await recover_run(made.rt, client, "run_w")
    assert (await get_run(made.rt, "run_w")).attempt == 1


async def test_cancelled_run_that_temporal_lost_rolls_back_what_it_changed(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await _start(made, client, pause=600)
    await client.get_workflow_handle("run-run_w-1").terminate("lost")
    await cancel_run(made.rt, client, "run_w", actor="person:ann")
    await _ended(client, attempt=2)
    run = await get_run(made.rt, "run_w")
    assert run.status == "cancelled"
    assert {step.id: step.state for step in run.steps}["block"] == "undone"


async def test_cancelled_run_that_temporal_loses_before_it_ends_is_cancelled(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await _start(made, client, pause=600)
    await cancel_run(made.rt, None, "run_w", actor="person:ann")  # Temporal does not hear of it
    await client.get_workflow_handle("run-run_w-1").terminate("lost")
    assert await recover_lost_runs(made.rt, client) == 1
    await _ended(client, attempt=2)
    run = await get_run(made.rt, "run_w")
    assert run.status == "cancelled"
    assert {step.id: step.state for step in run.steps}["block"] == "undone"


async def test_run_that_is_lost_again_and_again_ends_with_a_task(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await _start(made, client, pause=600)
    await client.get_workflow_handle("run-run_w-1").terminate("lost")
    async with made.rt.store.write() as session:
        await session.execute(
            update(RunRow).where(RunRow.id == "run_w").values(attempt=MAX_RECOVERIES + 1)
        )
    assert await recover_run(made.rt, client, "run_w")
    run = await get_run(made.rt, "run_w")
    assert (run.status, run.error) == ("failed", "Temporal lost the run 6 times")
    (task,) = await made.rows(TaskRow)
    assert (task.kind, task.subject) == ("lost_run", "run_w")
    assert "198.51.100.7" in task.summary
