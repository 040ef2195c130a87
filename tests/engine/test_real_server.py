"""Timeouts and cancellations between two attempts, on the real server.

The server then writes a plain payload into the history, which the time-skipping server does not.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.client import Client

from orchestrator.domain.change import Effect
from orchestrator.playbook.plan import Plan, Retry, Use
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import LeaseRow, PlaybookRow
from tests.harness.activity_rig import START, ActivityRig, run_row
from tests.harness.temporal_rig import on_temporal

FIND = Use(
    id="find",
    connection="edr",
    capability="edr",
    action="find_host",
    effect=Effect.READ,
    inputs={"host": "ws-042"},
    retry=Retry(attempts=10, wait=60),
    timeout=300,
)
"""A read that the server schedules from the start, and holds for a minute between two attempts."""


async def _start(made: ActivityRig, client: Client, step: Use) -> None:
    plan = Plan(playbook="look", version=1, title="t", owner="o", steps=(step,))
    columns = {"source": "", "published_at": START, "published_by": "x"}
    document = plan.model_dump(mode="json")
    await made.add(
        PlaybookRow(
            name="look",
            version=1,
            digest=plan.digest,
            title="t",
            owner="o",
            plan=document,
            **columns,
        )
    )
    await made.add(run_row("run_s", playbook="look", plan_digest=plan.digest, dispatched=False))
    assert await dispatch(made.rt, client, ["run_s"]) == 1


BLOCK = Use(
    id="block",
    connection="firewall",
    capability="firewall",
    action="block_address",
    effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"},
    hold=3600,
    retry=Retry(attempts=30, wait=60),
    timeout=300,
)


async def _between_two_attempts(client: Client) -> None:
    """Wait until the server holds the activity for its next attempt."""
    handle = client.get_workflow_handle("run-run_s-1")
    async with asyncio.timeout(30):
        while True:
            pending = (await handle.describe()).raw_description.pending_activities
            if pending and pending[0].attempt > 1:
                return
            await asyncio.sleep(0.05)


async def test_run_that_is_cancelled_between_two_attempts_of_a_read_ends(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["edr"].inject(kind="status", status=503)
        await _start(made, client, FIND)
        await _between_two_attempts(client)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        assert (await get_run(made.rt, "run_s")).status == "cancelled"


async def test_read_that_times_out_between_two_attempts_fails_its_step(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["edr"].inject(kind="status", status=503)
        await _start(made, client, FIND.model_copy(update={"timeout": 11}))
        async with asyncio.timeout(40):
            await client.get_workflow_handle("run-run_s-1").result()
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "it took longer than its timeout of 11 s" in (run.error or "")


async def test_change_whose_planning_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=503, times=100)
        await _start(made, client, BLOCK)
        await _between_two_attempts(client)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        assert (await get_run(made.rt, "run_s")).status == "cancelled"
        assert [row for row in await made.rows(LeaseRow) if row.state == "live"] == []


async def test_timeout_of_a_step_reaches_its_planning(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=429, retry_after=7200, times=100)
        await _start(made, client, BLOCK.model_copy(update={"timeout": 3}))
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "it took longer than its timeout of 3 s" in (run.error or "")
