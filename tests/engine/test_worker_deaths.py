"""A worker that dies uses up no try of an action."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orchestrator.contracts.names import Activity
from orchestrator.domain.errors import TocsinError, Unknown
from orchestrator.engine.temporal import activity_calls
from orchestrator.engine.temporal.registry import workflow_runner
from tests.conftest import TEST_SERVER

ONE_TRY = RetryPolicy(maximum_attempts=1)


class DyingWorker:
    """An activity that says nothing more, as one whose worker died, a number of times."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.calls = 0

    @activity.defn(name=Activity.READ)
    async def read(self, _: Any) -> str:
        """Return what is read, or nothing."""
        self.calls += 1
        if self.calls <= self.deaths:
            await asyncio.Event().wait()
        return "seen"


@workflow.defn
class CallsOnce:
    """Calls the activity with one try."""

    @workflow.run
    async def run(self, changes: bool) -> Any:
        """Return the answer."""
        more = {"without_reply": Unknown} if changes else {}
        try:
            return await activity_calls.remote_activity(Activity.READ, None, str, ONE_TRY, **more)
        except TocsinError as error:
            raise ApplicationError(str(error), type=type(error).__name__) from None


async def _call(worker: DyingWorker, *, changes: bool = False) -> Any:
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=TEST_SERVER
    )
    async with (
        environment,
        Worker(
            environment.client,
            task_queue="deaths",
            workflows=[CallsOnce],
            activities=[worker.read],
            workflow_runner=workflow_runner(),
        ),
    ):
        return await environment.client.execute_workflow(
            CallsOnce.run, changes, id=f"deaths-{uuid.uuid4()}", task_queue="deaths"
        )


@pytest.fixture(autouse=True)
def short_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_calls, "HEARTBEAT", timedelta(seconds=1))


async def test_read_is_repeated_when_its_worker_died_in_the_last_try() -> None:
    worker = DyingWorker(deaths=2)
    assert await _call(worker) == "seen"
    assert worker.calls == 3


async def test_read_of_a_worker_that_always_dies_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity_calls, "MOST_DEATHS", 2)
    worker = DyingWorker(deaths=9)
    with pytest.raises(WorkflowFailureError) as failed:
        await _call(worker)
    assert "it did not answer in time" in str(failed.value.cause)
    assert worker.calls == 2


async def test_change_is_not_repeated_when_its_worker_died() -> None:
    worker = DyingWorker(deaths=1)
    with pytest.raises(WorkflowFailureError) as failed:
        await _call(worker, changes=True)
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "Unknown"
    assert worker.calls == 1
