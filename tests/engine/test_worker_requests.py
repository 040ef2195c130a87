"""Requests to a worker: answers, errors by type, and the time limit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.worker import Worker

from orchestrator.contracts.names import TASK_QUEUE
from orchestrator.contracts.requests import WorkerRequest
from orchestrator.domain.errors import Conflict, NotFound, TocsinError, Unavailable
from orchestrator.domain.model import Frozen
from orchestrator.engine.activities.handle_request import HandleRequest
from orchestrator.engine.temporal.registry import workflow_runner
from orchestrator.engine.temporal.workflows.answer_request import AnswerRequest
from orchestrator.requests import RequestHandler, RequestKind, ask_worker
from orchestrator.runtime import Runtime
from orchestrator.worker import REQUEST_HANDLERS
from tests.harness.activity_rig import rig as activity_rig
from tests.harness.request_worker import request_worker
from tests.harness.run_rig import RunRig


class Greeting(Frozen):
    name: str


GREET = RequestKind("greet", Greeting, list[str])


async def greet(_rt: Runtime, message: Greeting) -> list[str]:
    match message.name:
        case "missing":
            raise NotFound("connection 'missing' does not exist")
        case "busy":
            raise Unavailable("slow down", timedelta(seconds=7))
        case "lifted":
            raise Conflict("it is lifted")
        case "broken":
            raise KeyError("secret")
    return [f"hello {message.name}"]


HANDLERS = (RequestHandler(GREET, greet),)


async def test_request_is_answered_by_a_worker(rig: RunRig, tmp_path: Path) -> None:
    async with activity_rig(tmp_path) as bench:
        worker = Worker(
            rig.server.client,
            task_queue=TASK_QUEUE,
            workflows=[AnswerRequest],
            activities=[HandleRequest(bench.rt, HANDLERS).handle_request],
            workflow_runner=workflow_runner(),
        )
        async with worker:
            assert await ask_worker(rig.server.client, GREET, Greeting(name="ann")) == ["hello ann"]
            with pytest.raises(NotFound, match="'missing' does not exist"):
                await ask_worker(rig.server.client, GREET, Greeting(name="missing"))


@pytest.mark.parametrize(
    ("name", "type_", "text"),
    [
        ("missing", NotFound, "connection 'missing' does not exist"),
        ("lifted", Conflict, "it is lifted"),
        ("busy", Unavailable, "slow down"),
        ("broken", Unavailable, r"the request failed on the worker \(KeyError\)"),
    ],
)
async def test_handler_errors_keep_their_type(
    tmp_path: Path, name: str, type_: type[TocsinError], text: str
) -> None:
    async with activity_rig(tmp_path) as bench:
        with pytest.raises(type_, match=f"^{text}$") as caught:
            await ask_worker(request_worker(bench.rt, HANDLERS), GREET, Greeting(name=name))
    if isinstance(caught.value, Unavailable) and name == "busy":
        assert caught.value.retry_after == timedelta(seconds=7)


async def test_request_without_a_worker_fails_at_the_limit(rig: RunRig) -> None:
    with (
        rig.server.auto_time_skipping_disabled(),
        pytest.raises(Unavailable, match=r"^no worker answered within 0\.3 s; "),
    ):
        await ask_worker(
            rig.server.client, GREET, Greeting(name="ann"), within=timedelta(seconds=0.3)
        )


async def test_request_is_not_begun_after_the_asker_gave_up(rig: RunRig, tmp_path: Path) -> None:
    begun: list[str] = []

    async def note(_rt: Runtime, message: Greeting) -> list[str]:
        begun.append(message.name)
        return []

    late = WorkerRequest(kind="greet", message={"name": "ann"}, start_within=timedelta())
    async with activity_rig(tmp_path) as bench:
        worker = Worker(
            rig.server.client,
            task_queue=TASK_QUEUE,
            workflows=[AnswerRequest],
            activities=[HandleRequest(bench.rt, (RequestHandler(GREET, note),)).handle_request],
            workflow_runner=workflow_runner(),
        )
        async with worker:
            with pytest.raises(WorkflowFailureError):
                await rig.server.client.execute_workflow(
                    AnswerRequest.run, late, id="late", task_queue=TASK_QUEUE
                )
            await ask_worker(rig.server.client, GREET, Greeting(name="bob"))
    assert begun == ["bob"]


async def test_request_without_temporal_fails_immediately() -> None:
    with pytest.raises(Unavailable, match="Temporal does not answer"):
        await ask_worker(None, GREET, Greeting(name="ann"))


def test_every_kind_has_one_handler() -> None:
    names = [handler.kind.name for handler in REQUEST_HANDLERS]
    assert len(names) == len(set(names))
