"""The limit of open runs of one source: beyond it alerts are stored, and their runs wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.incident import TaskKind, TaskState
from orchestrator.domain.run import RunStatus
from orchestrator.incidents import deferred_runs
from orchestrator.incidents.tasks import close_task
from orchestrator.intake.sources import add_source
from orchestrator.registry.publish import publish_playbook
from orchestrator.runs.bulk_retry import retry_runs
from orchestrator.runs.deferred import begin_deferred
from orchestrator.runs.lifecycle import cancel_run
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.queries import runs
from orchestrator.store.search.filters import RunFilter
from orchestrator.store.tables import AlertRow, IncidentRow, RunRow, TaskRow
from tests.harness.databases import START, edit_rows, migrate_quickly
from tests.harness.intake_samples import EVE
from tests.intake.test_accept import TOKEN, beacon, playbook, send, trail


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    settings = Settings.load(data_dir=tmp_path / "data", source_open_runs=3)
    runtime = open_runtime(settings, clock=lambda: START)
    await migrate_quickly(runtime)
    for name in ("ids", "other"):
        await add_source(runtime, name, "suricata", "bearer", SecretStr(TOKEN), actor="person:ann")
    await publish_playbook(runtime, playbook(), "p.yaml", actor="person:ann")
    yield runtime
    await runtime.close()


def to(number: int, severity: int = 2) -> dict[str, Any]:
    """Return an alert about a remote address of its own; Suricata's severity 1 is the highest."""
    address = f"203.0.113.{number}"
    alert = {**EVE["alert"], "severity": severity}
    return beacon(number, dest_ip=address, flow={**EVE["flow"], "dest_ip": address}, alert=alert)


async def rows(rt: Runtime, table: type[Any]) -> list[Any]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(table)))


async def statuses(rt: Runtime) -> list[str]:
    return sorted(row.status.value for row in await rows(rt, RunRow))


@pytest.mark.attack(
    "send alerts without end, each of which starts a run and asks",
    before="as many runs and questions as alerts, without a limit",
)
async def test_beyond_the_limit_alerts_are_stored_and_their_runs_wait(rt: Runtime) -> None:
    done = await send(rt, [to(number) for number in range(1, 11)])
    assert (len(done.alerts), len(done.run_ids), len(done.deferred_run_ids)) == (10, 3, 7)
    assert len(await rows(rt, AlertRow)) == 10
    assert {row.incident_id for row in await rows(rt, AlertRow)} <= {
        row.id for row in await rows(rt, IncidentRow)
    }
    assert await statuses(rt) == ["deferred"] * 7 + ["running"] * 3
    async with rt.store.read() as session:
        assert set(await runs.undispatched(session, 100)) == set(done.run_ids)
    events = await trail(rt, EventKind.RUN_DEFERRED)
    assert [(each["limit"], each["source"]) for each in events] == [(3, "ids")] * 7
    later = await send(rt, to(11))
    assert (later.run_ids, len(later.deferred_run_ids)) == ((), 1)


async def test_other_sources_are_not_affected(rt: Runtime) -> None:
    await send(rt, [to(number) for number in range(1, 11)])
    assert len((await send(rt, to(20), source="other")).run_ids) == 1


@pytest.mark.attack(
    "use up the limit with tame alerts, so that a severe one starts nothing",
    before="there was no limit; one that counts all runs alike would mute the severe alert",
)
async def test_tame_alerts_do_not_use_up_the_place_of_a_severe_one(rt: Runtime) -> None:
    await send(rt, [to(number, severity=3) for number in range(1, 11)])
    severe = await send(rt, to(20, severity=1))
    assert (len(severe.run_ids), severe.deferred_run_ids) == (1, ())
    again = await send(rt, beacon(99, **{**to(5, severity=1), "flow_id": 77}))
    assert len(again.run_ids) == 1


async def test_a_run_that_ended_or_is_old_leaves_its_place(rt: Runtime) -> None:
    first = await send(rt, [to(number) for number in range(1, 4)])
    async with rt.store.write() as session:
        run = await runs.get(session, first.run_ids[0])
        assert run is not None
        run.status, run.ended_at = RunStatus.COMPLETED, START
    assert len((await send(rt, to(10))).run_ids) == 1
    assert (await send(rt, to(11))).run_ids == ()
    async with rt.store.write() as session:
        await edit_rows(session, RunRow, created_at=START.replace(hour=3))
    assert len((await send(rt, to(12))).run_ids) == 1


async def test_deferred_runs_begin_by_themselves_the_most_severe_first(rt: Runtime) -> None:
    first = await send(rt, [to(number) for number in range(1, 4)])
    tame = await send(rt, to(4, severity=3))
    same = await send(rt, to(5))
    assert await begin_deferred(rt, 100) == 0
    async with rt.store.write() as session:
        run = await runs.get(session, first.run_ids[0])
        assert run is not None
        run.status, run.ended_at = RunStatus.COMPLETED, START
    assert (await begin_deferred(rt, 100), await begin_deferred(rt, 100)) == (1, 0)
    async with rt.store.read() as session:
        begun = await runs.get(session, same.deferred_run_ids[0])
        waits = await runs.get(session, tame.deferred_run_ids[0])
        assert begun is not None and waits is not None
        assert begun.id in await runs.undispatched(session, 100)
    assert (begun.status, waits.status) == (RunStatus.RUNNING, RunStatus.DEFERRED)
    assert (begun.attempt, begun.begun_at, begun.ended_at) == (1, START, None)


async def test_a_run_counts_for_an_hour_from_when_it_began_and_not_from_its_alert(
    rt: Runtime,
) -> None:
    await send(rt, [to(number) for number in range(1, 9)])
    async with rt.store.write() as session:
        await edit_rows(session, RunRow, created_at=START - timedelta(hours=2))
    assert (await begin_deferred(rt, 100), await begin_deferred(rt, 100)) == (3, 0)


async def test_a_person_cancels_a_deferred_run(rt: Runtime) -> None:
    first = await send(rt, [to(number) for number in range(1, 5)])
    [deferred] = first.deferred_run_ids
    assert (await cancel_run(rt, None, deferred, actor="person:ann")).status == "cancelled"
    async with rt.store.write() as session:
        run = await runs.get(session, first.run_ids[0])
        assert run is not None
        run.status, run.ended_at = RunStatus.COMPLETED, START
    assert await begin_deferred(rt, 100) == 0
    assert len((await send(rt, {**to(4), "flow_id": 99})).run_ids) == 1


@pytest.mark.attack(
    "have the run of an address deferred, so that another source's alert about it starts nothing",
    before="the deferred run held the key of `once_per`",
)
async def test_a_deferred_run_covers_no_alert_of_another_source(rt: Runtime) -> None:
    await send(rt, [to(number) for number in range(1, 6)])
    assert (await send(rt, {**to(5), "flow_id": 98})).covered_by
    assert len((await send(rt, {**to(5), "flow_id": 99}, source="other")).run_ids) == 1


async def test_a_task_says_what_waits_and_its_command_begins_it(rt: Runtime) -> None:
    await send(rt, [to(number) for number in range(1, 6)])
    assert (await deferred_runs.open_tasks(rt), await deferred_runs.open_tasks(rt)) == (1, 0)
    (task,) = await rows(rt, TaskRow)
    assert (task.kind, task.subject, task.state) == (
        TaskKind.DEFERRED_RUNS,
        "ids",
        TaskState.OPEN,
    )
    assert task.summary.startswith("2 or more runs")
    assert "`tocsin run retry --status deferred --source ids`" in task.summary
    wanted = RunFilter(status=(RunStatus.DEFERRED,), source="ids")
    done = await retry_runs(rt, None, wanted, expected=None, actor="person:ann")
    assert [item.result.value for item in done.items] == ["retried"] * 2
    assert await statuses(rt) == ["running"] * 5
    async with rt.store.read() as session:
        assert len(await runs.undispatched(session, 100)) == 5
    await deferred_runs.open_tasks(rt)
    assert [row.state for row in await rows(rt, TaskRow)] == [TaskState.CLOSED]


async def test_a_task_that_a_person_closed_stays_closed(rt: Runtime) -> None:
    await send(rt, [to(number) for number in range(1, 6)])
    await deferred_runs.open_tasks(rt)
    (task,) = await rows(rt, TaskRow)
    await close_task(rt, task.id, comment="a pentest", actor="person:ann")
    assert await deferred_runs.open_tasks(rt) == 0


async def test_zero_is_no_limit(tmp_path: Path) -> None:
    runtime = open_runtime(
        Settings.load(data_dir=tmp_path / "data", source_open_runs=0), clock=lambda: START
    )
    await migrate_quickly(runtime)
    try:
        await add_source(runtime, "ids", "suricata", "bearer", SecretStr(TOKEN), actor="system")
        await publish_playbook(runtime, playbook(), "p.yaml", actor="person:ann")
        assert len((await send(runtime, [to(number) for number in range(1, 11)])).run_ids) == 10
    finally:
        await runtime.close()
