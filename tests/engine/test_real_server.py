"""Timeouts and cancellations between two attempts, on the real server.

The server then writes a plain payload into the history, which the time-skipping server does not.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from temporalio.client import Client

from orchestrator.domain.change import Effect
from orchestrator.domain.run import WaitingForRetry
from orchestrator.playbook.plan import Approve, Ask, FormField, Parallel, Retry, Use, Wait
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import ApprovalRow, LeaseRow
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step

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
        await start_plan(made, client, FIND)
        await _between_two_attempts(client)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        assert (await get_run(made.rt, "run_s")).status == "cancelled"


async def test_read_that_times_out_between_two_attempts_fails_its_step(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["edr"].inject(kind="status", status=503)
        await start_plan(made, client, FIND.model_copy(update={"timeout": 11}))
        async with asyncio.timeout(40):
            await client.get_workflow_handle("run-run_s-1").result()
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "it took longer than its timeout of 11 s" in (run.error or "")


async def test_change_whose_planning_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=503, times=100)
        await start_plan(made, client, BLOCK)
        await _between_two_attempts(client)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        assert (await get_run(made.rt, "run_s")).status == "cancelled"
        assert [row for row in await made.rows(LeaseRow) if row.state == "live"] == []


async def test_timeout_of_a_step_reaches_its_planning(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=429, retry_after=7200, times=100)
        await start_plan(made, client, BLOCK.model_copy(update={"timeout": 3}))
        async with asyncio.timeout(30):
            await client.get_workflow_handle("run-run_s-1").result()
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "it took longer than its timeout of 3 s" in (run.error or "")


async def test_group_is_given_up_while_one_of_its_plans_waits(tmp_path: Path) -> None:
    group = Parallel(id="all", steps=(BLOCK,), approve=Approve(question="Block?"), timeout=3)
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="status", status=429, retry_after=7200, times=100)
        await start_plan(made, client, group)
        await until_ended(client)
        run = await get_run(made.rt, "run_s")
        assert run.status == "failed"
        assert "it took longer than its timeout of 3 s" in (run.error or "")


async def test_lease_ends_although_the_timeout_passed_while_its_change_was_applied(
    tmp_path: Path,
) -> None:
    late = BLOCK.model_copy(update={"timeout": 2, "on_error": "continue"})
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["firewall"].inject(kind="latency", seconds=4, match="register")
        await start_plan(made, client, late)
        await until_ended(client)
        assert (await get_run(made.rt, "run_s")).status == "completed"
        assert made.effects("firewall") == 1
        (lease,) = await made.rows(LeaseRow)
        assert lease.state == "live"
        assert lease.until is not None


async def test_change_whose_verification_waits_is_cancelled_and_undone(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        firewall = made.worlds["firewall"]
        firewall.on_change = lambda: firewall.inject(kind="status", status=503, times=1)
        await start_plan(made, client, BLOCK, on_failure="roll_back")
        step = await until_step(made, "block", lambda each: each.waiting_for is not None)
        assert (step.state, step.waiting_for and step.waiting_for.kind) == ("applied", "retry")
        firewall.on_change = lambda: None
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)
        (step,) = (await get_run(made.rt, "run_s")).steps
        assert (step.state, step.waiting_for) == ("undone", None)


async def test_form_of_a_step_that_timed_out_takes_no_answer(tmp_path: Path) -> None:
    form = {"why": FormField(type="text", label="Why")}
    ask = Ask(id="why", question="Why?", form=form, within=900, timeout=2, on_error="continue")
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, ask, Wait(id="pause", seconds=600))
        await until_step(made, "pause", lambda each: each.state == "waiting")
        (why, _) = (await get_run(made.rt, "run_s")).steps
        assert (why.state, why.waiting_for) == ("failed", None)
        assert "it took longer than its timeout of 2 s" in (why.error or "")
        assert [row.state for row in await made.rows(ApprovalRow)] == ["withdrawn"]
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)


async def test_notification_that_waits_for_its_next_try_is_cancelled(tmp_path: Path) -> None:
    ticket = Use(
        id="ticket",
        connection="tickets",
        capability="tickets",
        action="open",
        effect=Effect.NOTIFY,
        inputs={"title": "Contained ws-042"},
        retry=Retry(attempts=10, wait=60),
    )
    async with on_temporal(tmp_path) as (made, client):
        made.worlds["tickets"].inject(kind="status", status=503, times=100)
        await start_plan(made, client, ticket)
        await until_step(made, "ticket", lambda each: each.waiting_for is not None)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        await until_ended(client)
        assert (await get_run(made.rt, "run_s")).status == "cancelled"
        assert made.effects("tickets") == 0


async def test_roll_back_is_tried_again_although_its_run_is_cancelled(tmp_path: Path) -> None:
    fails = BLOCK.model_copy(update={"id": "refused", "inputs": {"address": "no address"}})
    async with on_temporal(tmp_path) as (made, client):
        firewall = made.worlds["firewall"]
        firewall.inject(kind="status", status=503, match="unregister", times=100)
        await start_plan(made, client, BLOCK, fails, on_failure="roll_back")
        waits = await until_step(made, "block", lambda each: each.waiting_for is not None)
        assert isinstance(waits.waiting_for, WaitingForRetry)
        assert (waits.state, waits.waiting_for.attempts) == ("verified", None)
        await cancel_run(made.rt, client, "run_s", actor="person:ann")
        firewall.clear_faults()
        await until_ended(client)
        steps = {step.id: step for step in (await get_run(made.rt, "run_s")).steps}
        assert (steps["block"].state, steps["block"].waiting_for) == ("undone", None)
        assert [row.state for row in await made.rows(LeaseRow)] == ["ended"]
