"""An attacker who reaches Temporal's port, and has no key, copies, restarts and resets."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import update
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution, WorkflowType
from temporalio.api.enums.v1 import EventType, WorkflowIdReusePolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
    SignalWorkflowExecutionRequest,
    StartWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval
from orchestrator.containments.release import release
from orchestrator.contracts.names import TASK_QUEUE, Workflow
from orchestrator.contracts.run import RunInput
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.change import Effect
from orchestrator.domain.run import RunStatus
from orchestrator.engine.run_context import run_context
from orchestrator.playbook.plan import Approve, Plan, Use, Wait
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runs.lost import recover_run
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import ApprovalRow, ContainmentRow, PlaybookRow, RunRow, TaskRow
from tests.harness.activity_rig import ActivityRig
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
BLOCK = Use(
    id="block",
    connection="firewall",
    capability="firewall",
    action="block_address",
    effect=Effect.CONTAIN,
    inputs={"address": "198.51.100.7"},
    hold=3600,
    approve=Approve(question="Block it?", within=600),
)
ID = "run-run_s-1"

Stack = tuple[ActivityRig, Client]


@pytest.fixture
async def released(tmp_path: Path) -> AsyncIterator[Stack]:
    """A run that blocked an address with an approval, whose block a person released."""
    async with on_temporal(tmp_path) as (made, client):
        async with made.rt.store.write() as session:  # the rig's own runs have no workflow
            await session.execute(update(RunRow).values(status=RunStatus.COMPLETED))
        await start_plan(made, client, BLOCK, Wait(id="pause", seconds=600))
        await until_step(made, "block", lambda step: step.waiting_for is not None)
        (asked,) = await made.rows(ApprovalRow)
        approval = await get_approval(made.rt, asked.id)
        await decide(
            made.rt,
            client,
            approval.id,
            decision=DecisionType.APPROVE,
            digest=approval.digest,
            principal=ANN,
        )
        await until_step(made, "pause", lambda _: True)
        (held,) = await made.rows(ContainmentRow)
        await release(made.rt, held.key, actor="person:ann")
        await until_step(made, "block", lambda step: step.state == "released")
        assert made.effects("firewall") == 2
        yield made, client


async def events(client: Client, id_: str = ID) -> Sequence[HistoryEvent]:
    return (await client.get_workflow_handle(id_).fetch_history()).events


async def start(client: Client, id_: str, payloads: Sequence[Payload], type_: str) -> None:
    """Start a workflow with payloads as they are, past the SDK's codec."""
    await client.workflow_service.start_workflow_execution(
        StartWorkflowExecutionRequest(
            namespace="default",
            workflow_id=id_,
            workflow_type=WorkflowType(name=type_),
            task_queue=TaskQueue(name=TASK_QUEUE),
            input=Payloads(payloads=payloads),
            request_id=uuid.uuid4().hex,
            workflow_id_reuse_policy=WorkflowIdReusePolicy.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
        )
    )


async def until_event(client: Client, id_: str, kind: EventType.ValueType) -> HistoryEvent:
    async with asyncio.timeout(30):
        while True:
            for event in await events(client, id_):
                if event.event_type == kind:
                    return event
            await asyncio.sleep(0.05)


async def start_payloads(client: Client) -> Sequence[Payload]:
    first = (await events(client))[0]
    return first.workflow_execution_started_event_attributes.input.payloads


@pytest.mark.attack(
    "copy a start payload to another workflow id",
    before="a released host is isolated again, without an event",
)
async def test_copied_start_payload_starts_nothing_in_another_workflow(released: Stack) -> None:
    made, client = released
    for id_, type_ in (("run-run_s-2", "RunPlaybook"), (f"{ID}/copy", "RunPlaybook")):
        await start(client, id_, await start_payloads(client), type_)
        failed = await until_event(client, id_, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
        assert b"198.51.100.7" not in failed.SerializeToString()
        await client.get_workflow_handle(id_).terminate("end of the test")
    assert made.effects("firewall") == 2
    assert (await get_run(made.rt, "run_s")).status == "waiting"


@pytest.mark.attack(
    "start a run's workflow under another id, with a payload that is bound to it",
    before="changes are applied again",
)
async def test_workflow_of_another_id_acts_for_nothing(released: Stack) -> None:
    made, client = released
    (row,) = [row for row in await made.rows(RunRow) if row.id == "run_s"]
    (version,) = [row for row in await made.rows(PlaybookRow) if row.name == "look"]
    given = RunInput(
        run=run_context(row),
        plan=Plan.model_validate(version.plan),
        alert=None,
        inputs={},
        started_at=row.created_at,
    )
    other = await client.start_workflow(Workflow.RUN, given, id="run-x-1", task_queue=TASK_QUEUE)
    with suppress(WorkflowFailureError):
        async with asyncio.timeout(30):
            await other.result()
    assert made.effects("firewall") == 2
    assert (await get_run(made.rt, "run_s")).status == "waiting"
    assert [task.kind for task in await made.rows(TaskRow)] == ["foreign_workflow"]
    assert "run:workflow:refused" in await made.kinds()


@pytest.mark.attack("start a run's workflow again under its id", before="changes are applied again")
async def test_workflow_started_again_under_the_same_id_changes_nothing(released: Stack) -> None:
    made, client = released
    payloads = await start_payloads(client)
    await client.get_workflow_handle(ID).terminate("attack")
    await start(client, ID, payloads, "RunPlaybook")
    await until_ended(client)
    assert made.effects("firewall") == 2
    assert (await get_run(made.rt, "run_s")).status == "waiting"
    (task,) = await made.rows(TaskRow)
    assert (task.kind, task.subject) == ("foreign_workflow", "run_s")
    assert (await made.kinds()).count("run:workflow:refused") == 1
    # What Temporal lost goes on from the store's facts.
    assert await recover_run(made.rt, client, "run_s")
    await until_step(made, "block", lambda step: step.state == "waiting")  # it asks again
    assert (await get_run(made.rt, "run_s")).attempt == 2
    assert made.effects("firewall") == 2


@pytest.mark.attack("reset a workflow to an earlier task", before="changes are applied again")
async def test_workflow_that_was_reset_changes_nothing(released: Stack) -> None:
    made, client = released
    reset_to = next(
        event
        for event in await events(client)
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == "apply"
    ).activity_task_scheduled_event_attributes.workflow_task_completed_event_id
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=ID),
            workflow_task_finish_event_id=reset_to,
            request_id=uuid.uuid4().hex,
            reason="attack",
        )
    )
    await until_ended(client)
    assert made.effects("firewall") == 2
    assert (await get_run(made.rt, "run_s")).ended_at is None
    assert [task.kind for task in await made.rows(TaskRow)] == ["foreign_workflow"]


@pytest.mark.attack(
    "replay copied signals and decisions",
    before="the spent approval applies again",
)
async def test_copied_signals_and_decisions_stop_no_workflow(released: Stack) -> None:
    made, client = released
    accepted = await until_event(
        client, ID, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    )
    copied = accepted.workflow_execution_update_accepted_event_attributes.accepted_request
    for signal, payloads in (
        ("cancel_run", copied.input.args),
        ("cancel_run", Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"})])),
        ("notify_new_alert", copied.input.args),
    ):
        await client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id=ID),
                signal_name=signal,
                input=payloads,
                request_id=uuid.uuid4().hex,
            )
        )
    assert (await get_run(made.rt, "run_s")).status == "waiting"
    await cancel_run(made.rt, client, "run_s", actor="person:ann")
    await until_ended(client)  # it still reads its signals
    run = await get_run(made.rt, "run_s")
    assert (run.status, run.error) == ("cancelled", "cancelled by person:ann")
    assert made.effects("firewall") == 2
