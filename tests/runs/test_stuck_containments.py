"""Containments and batches whose workflow task fails are noticed: who watches the watchers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from api.metrics import Metrics
from orchestrator.cli.diagnosis.runs import examine_runs
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.temporal.workflows import attend_containment
from orchestrator.incidents.trail_health import trail_health
from orchestrator.playbook.plan import ForEach
from orchestrator.runs import stuck, stuck_containments
from orchestrator.runs.stuck import watch_workflow_tasks
from orchestrator.runs.stuck_containments import watch_containment_tasks
from orchestrator.store.tables import ContainmentRow, LeaseRow, TaskRow
from tests.engine.test_step_rows import BLOCK, FIND
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_lifted


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Let the workflow of a release fail before its undo, as a fault of the engine would."""
    state = {"broken": True}
    undo = attend_containment.undo_steps

    async def fail(*given: Any) -> Any:
        if state["broken"]:
            raise RuntimeError("the engine is broken")
        return await undo(*given)

    monkeypatch.setattr(attend_containment, "undo_steps", fail)
    monkeypatch.setattr(stuck_containments, "STUCK_AFTER", 1)
    return state


async def _overdue(made: ActivityRig, client: Client) -> str:
    """Contain a target, and let its lease outlive its end, as it does while no one ends it."""
    await start_plan(made, client, BLOCK)
    await until_ended(client)
    async with made.rt.store.write() as session:
        (lease,) = await made.rows(LeaseRow)
        lease.until = made.rt.clock() - timedelta(minutes=5)
        await session.merge(lease)
    (containment,) = await made.rows(ContainmentRow)
    return str(containment.key)


async def _until_stuck(made: ActivityRig, client: Client) -> TaskRow:
    async with asyncio.timeout(60):
        while not await made.rows(TaskRow):
            await watch_containment_tasks(made.rt, client)
            await asyncio.sleep(0.2)
    (task,) = await made.rows(TaskRow)
    return task


async def test_stuck_containment_has_a_task_until_it_moves_again(
    tmp_path: Path, broken: dict[str, bool]
) -> None:
    async with on_temporal(tmp_path) as (made, client):
        key = await _overdue(made, client)
        task = await _until_stuck(made, client)
        assert (task.kind, task.subject, task.state) == ("stuck_containment", key, "open")
        (found,) = await examine_runs(made.rt)
        assert (found.level, key in found.text) == ("wrong", True)
        text = (await Metrics().text(made.rt, await trail_health(made.rt))).decode()
        assert "tocsin_containments_stuck 1.0" in text
        assert "tocsin_runs_stuck 0.0" in text
        broken["broken"] = False  # the worker was mended
        async with asyncio.timeout(60):
            while (await made.rows(ContainmentRow))[0].state != "lifted" or (
                await watch_containment_tasks(made.rt, client)
            ):
                await asyncio.sleep(0.2)
        (task,) = await made.rows(TaskRow)
        assert task.state == "closed"


async def test_workflow_that_a_newer_worker_cannot_continue_is_replaced(
    tmp_path: Path, broken: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with on_temporal(tmp_path) as (made, client):
        key = await _overdue(made, client)
        monkeypatch.setattr(stuck_containments, "REPLACED_AFTER", timedelta(0))
        async with asyncio.timeout(60):
            while not await watch_containment_tasks(made.rt, client):
                await asyncio.sleep(0.2)
        broken["broken"] = False
        await until_lifted(made, key)
        assert await made.rows(TaskRow) == []


async def test_stuck_batch_is_a_stuck_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_nothing(*_: object) -> list[object]:
        return []

    def fail(_: object) -> int:
        raise RuntimeError("the engine is broken")

    monkeypatch.setattr(Interpreter, "run_batch", run_nothing)
    monkeypatch.setattr(Interpreter, "next_seq", property(fail))
    monkeypatch.setattr(stuck, "STUCK_AFTER", 1)
    many = ForEach(
        id="each", items=["ws-042"] * 101, name="host", at_most=200, at_once=20, steps=(FIND,)
    )
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, many)
        async with made.rt.store.write() as session:
            row = await stuck.runs.get(session, "run_s")
            assert row is not None
            row.status = stuck.RunStatus.RUNNING
        async with asyncio.timeout(60):
            while not await made.rows(TaskRow):
                await watch_workflow_tasks(made.rt, client)
                await asyncio.sleep(0.2)
        (task,) = await made.rows(TaskRow)
        assert (task.kind, task.subject) == ("stuck_run", "run_s")
        await client.get_workflow_handle("run-run_s-1").terminate()
