"""What Temporal's real server does, and the time-skipping one of most tests does not.

docs/proof.md has the table. What they do alike is tested on both, as the engine relies on it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
)
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import (
    ActivityError,
    RetryState,
    TimeoutType,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import TimeoutError as TemporalTimeoutError
from temporalio.service import RPCError, RPCStatusCode

from tests.harness.two_servers import Probe, ProbedServer, event_names, probed_server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[False, True], ids=["skipping", "real"]
)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ProbedServer]:
    async with probed_server(is_real=request.param) as opened:
        yield opened


async def test_cancellation_between_two_tries_has_a_plain_detail(server: ProbedServer) -> None:
    handle = await server.start("retry")
    await server.until_tried(handle)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    (details,) = [
        event.activity_task_canceled_event_attributes.details
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_canceled_event_attributes")
    ]
    written = [(each.metadata["encoding"], each.data) for each in details.payloads]
    assert written == ([(b"json/plain", b'"ACTIVITY_ID_NOT_STARTED"')] if server.is_real else [])


async def test_refused_update_leaves_no_event(server: ProbedServer) -> None:
    handle = await server.start("wait")
    await handle.query(Probe.signals)
    before = await event_names(handle)
    with pytest.raises(WorkflowUpdateFailedError):
        await handle.execute_update(Probe.count, "refused")
    added = (await event_names(handle))[len(before) :]
    assert ("WORKFLOW_TASK_COMPLETED" in added) is not server.is_real
    assert not [name for name in added if "UPDATE" in name]
    await handle.terminate()


async def test_signal_that_is_repeated_by_the_client_arrives_once(server: ProbedServer) -> None:
    handle = await server.start("wait")
    text = Payloads(payloads=await server.client.data_converter.encode(["x"]))
    request = SignalWorkflowExecutionRequest(
        namespace=server.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id),
        signal_name="note",
        input=text,
        request_id="the same",
    )
    for _ in range(2):
        await server.client.workflow_service.signal_workflow_execution(request)
    assert await handle.query(Probe.signals) == (["x"] if server.is_real else ["x", "x"])
    await handle.terminate()


async def test_reset_keeps_later_signals_and_fails_a_task(server: ProbedServer) -> None:
    handle = await server.start("wait")
    await handle.query(Probe.signals)
    await handle.signal(Probe.note, "x")
    reset = ResetWorkflowExecutionRequest(
        namespace=server.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=handle.id),
        reason="drill",
        workflow_task_finish_event_id=4,
        request_id=str(uuid.uuid4()),
    )
    try:
        await server.client.workflow_service.reset_workflow_execution(reset)
    except RPCError as error:
        assert (error.status, server.is_real) == (RPCStatusCode.UNIMPLEMENTED, False)
        return
    assert server.is_real
    again = server.client.get_workflow_handle(handle.id)
    assert await again.query(Probe.signals) == ["x"]
    assert "WORKFLOW_TASK_FAILED" in await event_names(again)
    await again.terminate()


async def test_workflows_can_be_listed(server: ProbedServer) -> None:
    handle = await server.start("wait")
    query = "WorkflowType = 'Probe' AND ExecutionStatus = 'Running'"

    async def listed() -> bool:
        return handle.id in [each.id async for each in server.client.list_workflows(query)]

    if server.is_real:
        async with asyncio.timeout(20):
            while not await listed():
                await asyncio.sleep(0.05)
    else:
        with pytest.raises(RPCError) as refused:
            await listed()
        assert refused.value.status is RPCStatusCode.UNIMPLEMENTED
    await handle.terminate()


async def test_message_of_more_than_two_megabytes_is_refused(server: ProbedServer) -> None:
    large = "x" * 2_100_000
    handle = await server.start("wait")
    if server.is_real:
        for refused in (server.start(large), handle.signal(Probe.note, large)):
            with pytest.raises(RPCError) as error:
                await refused
            assert error.value.status is RPCStatusCode.INVALID_ARGUMENT
    else:
        await handle.signal(Probe.note, large)
    await handle.terminate()


async def test_workflow_id_of_more_than_a_thousand_characters_is_refused(
    server: ProbedServer,
) -> None:
    name = f"{uuid.uuid4()}{'x' * 1000}"
    if server.is_real:
        with pytest.raises(RPCError) as error:
            await server.start("done", id=name)
        assert error.value.status is RPCStatusCode.INVALID_ARGUMENT
    else:
        assert await (await server.start("done", id=name)).result() == "done"


async def test_failures_of_a_workflow_task_are_counted(server: ProbedServer) -> None:
    handle = await server.start("break")
    async with asyncio.timeout(20):
        while "WORKFLOW_TASK_FAILED" not in await event_names(handle):
            await asyncio.sleep(0.02)
    pending = (await handle.describe()).raw_description.pending_workflow_task
    assert pending.attempt >= 2 if server.is_real else pending.attempt == 0
    await handle.terminate()


async def test_timers_of_one_instant_all_fire(server: ProbedServer) -> None:
    handle = await server.start("timers")
    await handle.result()
    names = await event_names(handle)
    assert names.count("TIMER_FIRED") == 3
    # On the real server usually in one task; on the other in several, in any order.
    assert names.count("WORKFLOW_TASK_COMPLETED") >= 2


async def test_update_with_the_same_id_is_done_once(server: ProbedServer) -> None:
    handle = await server.start("wait")
    replies = [await handle.execute_update(Probe.count, "x", id="same") for _ in range(2)]
    assert replies == [1, 1]
    assert await handle.execute_update(Probe.count, "x") == 2
    await handle.terminate()


async def test_id_of_a_workflow_that_ended_is_refused_or_used_again(server: ProbedServer) -> None:
    handle = await server.start("done")
    await handle.result()
    once = {"id": handle.id, "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE}
    for options in (once, {**once, "start_signal": "note", "start_signal_args": ["x"]}):
        with pytest.raises(WorkflowAlreadyStartedError):
            await server.start("done", **options)
    assert await (await server.start("again", id=handle.id)).result() == "again"


async def test_id_of_a_running_workflow(server: ProbedServer) -> None:
    handle = await server.start("wait")
    with pytest.raises(WorkflowAlreadyStartedError):
        await server.start("wait", id=handle.id)
    existing = WorkflowIDConflictPolicy.USE_EXISTING
    same = await server.start("wait", id=handle.id, id_conflict_policy=existing)
    assert same.first_execution_run_id == handle.first_execution_run_id
    await server.start("wait", id=handle.id, start_signal="note", start_signal_args=["end"])
    assert await handle.result() == ["end"]


async def test_terminated_workflow_takes_nothing(server: ProbedServer) -> None:
    handle = await server.start("wait")
    await handle.terminate("drill")
    assert (await handle.describe()).status is WorkflowExecutionStatus.TERMINATED
    missing = server.client.get_workflow_handle("missing")
    for call in (
        handle.signal(Probe.note, "x"),
        handle.execute_update(Probe.count, "x"),
        handle.terminate(),
        missing.signal("note", "x"),
        missing.execute_update("count", "x"),
        missing.describe(),
    ):
        with pytest.raises(RPCError) as error:
            await call
        assert error.value.status is RPCStatusCode.NOT_FOUND


async def test_continued_workflow_is_found_by_its_id(server: ProbedServer) -> None:
    first = await server.start("continue as new")
    await first.signal(Probe.note, "go on")
    handle = server.client.get_workflow_handle(first.id)
    async with asyncio.timeout(20):
        while (await handle.describe()).run_id == first.first_execution_run_id:
            await asyncio.sleep(0.02)
    await handle.signal(Probe.note, "end")
    assert await first.result() == ["end"]


@pytest.mark.parametrize(
    ("what", "state", "cause"),
    [
        ("give up", RetryState.TIMEOUT, None),
        ("fall silent", RetryState.MAXIMUM_ATTEMPTS_REACHED, TimeoutType.HEARTBEAT),
        ("no worker", RetryState.TIMEOUT, TimeoutType.SCHEDULE_TO_START),
    ],
)
async def test_activity_that_is_given_up_says_why(
    what: str, state: RetryState, cause: TimeoutType | None, server: ProbedServer
) -> None:
    handle = await server.start(what)
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    error = failed.value.cause
    assert isinstance(error, ActivityError)
    assert error.retry_state is state
    if cause is None:
        assert "not now" in str(error.cause)  # the retry would come too late: it ends at once
    else:
        assert isinstance(error.cause, TemporalTimeoutError)
        assert error.cause.type is cause
        assert list(error.cause.last_heartbeat_details) == (
            ["half"] if cause is TimeoutType.HEARTBEAT else []
        )
