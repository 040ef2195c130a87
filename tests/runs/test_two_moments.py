"""The two databases of different moments: a workflow that the store does not know must not act."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import delete
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHistoryEventFilterType

from orchestrator.playbook.plan import Wait
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import ContainmentRow, EffectRow, RunRow, StepRow
from tests.engine.test_step_rows import BLOCK
from tests.harness.temporal_rig import on_temporal, start_plan, until_ended, until_step


async def test_run_that_an_older_store_does_not_know_changes_nothing(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, Wait(id="pause", seconds=3), BLOCK, on_failure="roll_back")
        await until_step(made, "pause", lambda each: each.state == "waiting")
        async with made.rt.store.write() as session:
            await session.execute(delete(StepRow))
            await session.execute(delete(RunRow).where(RunRow.id == "run_s"))
        await until_ended(client)
        assert made.effects("firewall") == 0
        assert await made.rows(EffectRow) == []
        assert await made.rows(ContainmentRow) == []


async def _reset(client: Client, name: str) -> None:
    """Return a workflow to its first task, as in a Temporal restored from an older moment."""
    history = await client.get_workflow_handle(name).fetch_history(
        event_filter_type=WorkflowHistoryEventFilterType.ALL_EVENT
    )
    first = next(
        event.event_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    )
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=name),
            reason="restored",
            request_id="restored",
            workflow_task_finish_event_id=first,
        )
    )


async def test_older_workflow_of_a_run_that_has_ended_undoes_nothing(tmp_path: Path) -> None:
    async with on_temporal(tmp_path) as (made, client):
        await start_plan(made, client, BLOCK, on_failure="roll_back")
        await until_ended(client)
        await _reset(client, "run-run_s-1")
        await until_ended(client)
        run = await get_run(made.rt, "run_s")
        assert (run.status, made.effects("firewall")) == ("completed", 1)
        assert [step.state for step in run.steps] == ["verified"]
