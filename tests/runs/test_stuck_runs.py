"""Runs whose workflow task fails get a task, and can be cancelled all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from temporalio.client import Client

from orchestrator.cli.diagnosis.runs import examine_runs
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.playbook.plan import Wait
from orchestrator.runs import stuck
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.queries import get_run
from orchestrator.runs.stuck import watch_workflow_tasks
from orchestrator.store.tables import TaskRow
from tests.engine.test_step_rows import BLOCK
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step


class _Alerts:
    """The counter of new alerts, which a fault of the engine makes unreadable."""

    broken = True

    def __set__(self, inbox: Inbox, count: int) -> None:
        inbox.__dict__["new_alerts"] = count

    def __get__(self, inbox: Inbox, owner: type[Inbox]) -> int:
        if self.broken:
            raise RuntimeError("the engine is broken")
        return int(inbox.__dict__["new_alerts"])


async def _stuck(made: ActivityRig, client: Client) -> None:
    """Start a run that blocks an address and waits; then let its workflow task fail."""
    await start_plan(made, client, BLOCK, Wait(id="pause", seconds=600))
    await until_step(made, "pause", lambda each: each.state == "waiting")
    await client.get_workflow_handle("run-run_s-1").signal("notify_new_alert")


async def _until_noticed(made: ActivityRig, client: Client) -> TaskRow:
    async with asyncio.timeout(60):
        while not await made.rows(TaskRow):
            await watch_workflow_tasks(made.rt, client)
            await asyncio.sleep(0.2)
    (task,) = await made.rows(TaskRow)
    return task


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> _Alerts:
    counter = _Alerts()
    monkeypatch.setattr(Inbox, "new_alerts", counter)
    monkeypatch.setattr(stuck, "STUCK_AFTER", 1)
    return counter


async def _make_active(made: ActivityRig) -> None:
    """Show the run as running: Temporal by itself reports a waiting one only after a minute."""
    async with made.rt.store.write() as session:
        row = await stuck.runs.get(session, "run_s")
        assert row is not None
        row.status = stuck.RunStatus.RUNNING


async def test_stuck_run_has_a_task_until_it_moves_again(tmp_path: Path, alerts: _Alerts) -> None:
    async with on_temporal(tmp_path) as (made, client):
        await _stuck(made, client)
        await _make_active(made)
        task = await _until_noticed(made, client)
        assert (task.kind, task.subject, task.state) == ("stuck_run", "run_s", "open")
        (found,) = await examine_runs(made.rt)
        assert (found.level, "run_s" in found.text) == ("wrong", True)
        alerts.broken = False  # the worker was mended
        async with asyncio.timeout(60):
            while await watch_workflow_tasks(made.rt, client):
                await asyncio.sleep(0.2)
        (task,) = await made.rows(TaskRow)
        assert task.state == "closed"
        assert [each.level for each in await examine_runs(made.rt)] == ["good"]


async def test_stuck_run_that_is_cancelled_is_rolled_back_by_a_new_attempt(
    tmp_path: Path, alerts: _Alerts
) -> None:
    assert alerts.broken
    async with on_temporal(tmp_path) as (made, client):
        await _stuck(made, client)
        await _make_active(made)
        await _until_noticed(made, client)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        assert await watch_workflow_tasks(made.rt, client) == 1
        await until_ended(client, attempt=2)
        run = await get_run(made.rt, "run_s")
        assert (run.status, run.attempt) == ("cancelled", 2)
        assert {step.id: step.state for step in run.steps}["block"] == "undone"
