"""Records of reads, steps and runs, without secrets, and due leases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.containment import HoldRequest
from orchestrator.contracts.run import EventsRequest, RunEnd, StepRecord, StepRef
from orchestrator.domain.change import Effect
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.digest import input_digest
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.engine.activities.hold import HoldTarget
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import (
    AuditEventRow,
    ContainmentRow,
    LeaseRow,
    RunKeyRow,
    RunRow,
    StepRow,
)
from tests.harness.activity_rig import (
    START,
    ActivityRig,
    ReadSystem,
    RecordRun,
    alert,
    context,
    rig,
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


def step(path: str, state: StepState, **columns: Any) -> StepRecord:
    return StepRecord(
        ref=StepRef(run=context(), path=path, seq=7), kind="use", state=state, **columns
    )


async def test_read_is_recorded(bench: ActivityRig) -> None:
    call = bench.call("edr", "edr", "find_host", Effect.READ, {"host": next(iter(_hosts(bench)))})
    reply = await ActivityEnvironment().run(ReadSystem(bench.rt).read, call)
    (row,) = await bench.rows(StepRow)
    assert (row.state, row.result, row.action) == ("done", reply.output, "find_host")
    assert row.inputs_digest == input_digest(
        "edr", "find_host", call.input
    )  # by which a backtest finds the read
    assert await bench.kinds() == ["run:step:read"]


def _hosts(bench: ActivityRig) -> list[str]:
    return [device["hostname"] for device in bench.worlds["edr"].dump()["devices"].values()]


async def test_missing_connection_stops_the_step(bench: ActivityRig) -> None:
    call = bench.call("nowhere", "edr", "find_host", Effect.READ, {"host": "x"})
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(ReadSystem(bench.rt).read, call)
    assert (caught.value.type, caught.value.non_retryable) == ("Rejected", True)


async def test_secrets_are_masked_in_steps_and_trail(bench: ActivityRig) -> None:
    record = step(
        "open",
        StepState.DONE,
        inputs={"title": "t", "api_token": "s3cret", "deep": [{"Password": "s3cret"}]},
        result={"secret": "s3cret"},
    )
    await ActivityEnvironment().run(RecordRun(bench.rt).record, [record])
    shown = (await get_run(bench.rt, "run_1")).steps[0]
    assert (shown.inputs or {})["title"] == "t"
    assert "s3cret" not in str([shown, [row.data for row in await bench.rows(AuditEventRow)]])


async def test_repeated_record_updates_the_step_and_audits_once(bench: ActivityRig) -> None:
    many = [step(f"each[{number}]/x", StepState.SKIPPED) for number in range(450)]
    for _ in range(2):
        await ActivityEnvironment().run(RecordRun(bench.rt).record, many)
    assert len(await bench.rows(StepRow)) == 450
    assert (await bench.kinds()).count("run:step:skipped") == 450


async def test_run_begins_waits_continues_and_ends(bench: ActivityRig) -> None:
    recording = RecordRun(bench.rt)
    await ActivityEnvironment().run(recording.begin, context())
    waiting = step("pause", StepState.WAITING).model_copy(update={"kind": "wait"})
    await ActivityEnvironment().run(recording.record, [waiting])
    assert (await get_run(bench.rt, "run_1")).status == "waiting"
    await ActivityEnvironment().run(
        recording.record, [waiting.model_copy(update={"state": StepState.DONE})]
    )
    assert (await get_run(bench.rt, "run_1")).status == "running"
    await ActivityEnvironment().run(
        recording.end, RunEnd(run=context(), status=RunStatus.FAILED, error="no")
    )
    ended = await get_run(bench.rt, "run_1")
    assert (ended.status, ended.error) == ("failed", "no")
    with pytest.raises(ApplicationError, match="attempt 1 of the run has ended in the store"):
        await ActivityEnvironment().run(recording.begin, context())
    assert (await get_run(bench.rt, "run_1")).status == "failed"


async def test_earlier_attempt_does_not_overwrite_a_later_one(bench: ActivityRig) -> None:
    async with bench.rt.store.write() as session:
        await session.execute(update(RunRow).values(attempt=2))
    pause = step("pause", StepState.WAITING).model_copy(update={"kind": "wait"})
    await ActivityEnvironment().run(RecordRun(bench.rt).record, [pause])
    await ActivityEnvironment().run(
        RecordRun(bench.rt).end, RunEnd(run=context(attempt=1), status=RunStatus.FAILED)
    )
    run = await get_run(bench.rt, "run_1")
    assert (run.status, run.steps[0].state) == ("running", "waiting")
    later = pause.model_copy(
        update={"ref": pause.ref.model_copy(update={"run": context(attempt=2)})}
    )
    await ActivityEnvironment().run(RecordRun(bench.rt).record, [later])
    done = pause.model_copy(update={"state": StepState.DONE})
    await ActivityEnvironment().run(RecordRun(bench.rt).record, [done])
    (shown,) = (await get_run(bench.rt, "run_1")).steps
    assert (shown.state, shown.attempt) == ("waiting", 2)


async def test_ended_run_has_no_waiting_steps(bench: ActivityRig) -> None:
    pause = step("pause", StepState.WAITING).model_copy(update={"kind": "wait"})
    await ActivityEnvironment().run(RecordRun(bench.rt).record, [pause])
    await ActivityEnvironment().run(
        RecordRun(bench.rt).end, RunEnd(run=context(), status=RunStatus.CANCELLED)
    )
    (pause,) = (await get_run(bench.rt, "run_1")).steps
    assert (pause.state, pause.error) == ("interrupted", "the run ended: cancelled")


async def test_events_are_later_alerts_of_the_incident(
    bench: ActivityRig,
) -> None:
    await bench.add(
        alert("alert_2", received_at=START + timedelta(seconds=5)),
        alert("alert_3", incident_id="inc_2"),
    )
    request = EventsRequest(run=context(), since=START - timedelta(seconds=1))
    reply = await ActivityEnvironment().run(RecordRun(bench.rt).list_events, request)
    assert [view["id"] for view in reply.alerts] == ["alert_2"]
    later = request.model_copy(update={"since": START + timedelta(seconds=5)})
    assert (await ActivityEnvironment().run(RecordRun(bench.rt).list_events, later)).alerts == ()


async def due(bench: ActivityRig, key: str) -> list[UndoRequest]:
    return await ActivityEnvironment().run(HoldTarget(bench.rt).list_due, key)


async def test_repeated_hold_does_not_extend_a_lease(
    bench: ActivityRig,
) -> None:
    holding = HoldTarget(bench.rt)
    planned = await bench.contained(bench.block())
    key = planned.change.containment_key
    request = HoldRequest(ref=bench.block().ref, seconds=3600)
    await ActivityEnvironment().run(holding.hold, request)
    until = (await bench.rows(LeaseRow))[0].until
    bench.pass_time(timedelta(minutes=10))
    await ActivityEnvironment().run(holding.hold, request)
    assert (await bench.rows(LeaseRow))[0].until == until == START + timedelta(hours=1)
    assert await due(bench, key) == []
    bench.pass_time(timedelta(minutes=50))
    assert [(each.path, each.cause, each.actor) for each in await due(bench, key)] == [
        ("block", LeaseEndReason.EXPIRED, "system")
    ]


async def test_containment_without_leases_after_a_crash_is_lifted(
    bench: ActivityRig,
) -> None:
    planned = await bench.contained(bench.block())
    async with bench.rt.store.write() as session:
        await session.execute(update(LeaseRow).values(state="ended", ended_at=START))
        await session.execute(update(ContainmentRow).values(state="lifting", retry_at=START))
    assert [each.path for each in await due(bench, planned.change.containment_key)] == ["block"]


async def test_end_of_a_run_gives_a_containment_without_a_change_a_moment_to_be_lifted(
    bench: ActivityRig,
) -> None:
    planned = await bench.plan(bench.block())
    end = RunEnd(run=context(), status=RunStatus.FAILED, error="no")
    assert await ActivityEnvironment().run(RecordRun(bench.rt).end, end) == RunStatus.FAILED
    assert [each.path for each in await due(bench, planned.change.containment_key)] == ["block"]


async def test_second_end_of_a_run_is_the_first_one(bench: ActivityRig) -> None:
    recording = RecordRun(bench.rt)
    for status in (RunStatus.COMPLETED, RunStatus.CANCELLED):
        ended = await ActivityEnvironment().run(recording.end, RunEnd(run=context(), status=status))
        assert ended is RunStatus.COMPLETED
    assert (await get_run(bench.rt, "run_1")).status == "completed"


@pytest.mark.parametrize(
    "status",
    [RunStatus.FAILED, RunStatus.ROLLED_BACK, RunStatus.DECLINED, RunStatus.CANCELLED],
)
async def test_run_that_ended_with_nothing_in_force_covers_no_later_alert(
    bench: ActivityRig, status: RunStatus
) -> None:
    await bench.add(RunKeyRow(playbook="contain", once_key="k", run_id="run_1", at=START))
    end = RunEnd(run=context(), status=status, error="the firewall refused")
    await ActivityEnvironment().run(RecordRun(bench.rt).end, end)
    assert await bench.rows(RunKeyRow) == []


async def test_run_that_left_a_containment_in_force_covers_later_alerts(bench: ActivityRig) -> None:
    await bench.add(RunKeyRow(playbook="contain", once_key="k", run_id="run_1", at=START))
    await bench.contained(bench.block())
    end = RunEnd(run=context(), status=RunStatus.FAILED, error="the ticket was refused")
    await ActivityEnvironment().run(RecordRun(bench.rt).end, end)
    assert len(await bench.rows(RunKeyRow)) == 1


async def test_completed_run_covers_later_alerts(bench: ActivityRig) -> None:
    await bench.add(RunKeyRow(playbook="contain", once_key="k", run_id="run_1", at=START))
    end = RunEnd(run=context(), status=RunStatus.COMPLETED)
    await ActivityEnvironment().run(RecordRun(bench.rt).end, end)
    assert len(await bench.rows(RunKeyRow)) == 1
