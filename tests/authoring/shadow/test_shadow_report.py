"""Shadow reports: differences between a shadow and the live version, alert by alert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from temporalio.testing import ActivityEnvironment

from orchestrator.authoring.shadow import ShadowReport, shadow_report
from orchestrator.contracts.change import PlanRequest, StepCall
from orchestrator.contracts.run import RunContext, StepRecord, StepRef
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Conflict, NotFound
from orchestrator.domain.run import Mode, StepState
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.engine.activities.record import RecordRun
from orchestrator.registry import versions
from orchestrator.registry.publish import retire_playbook
from orchestrator.store.tables import RunRow
from tests.harness.activity_rig import PLAN, START, ActivityRig, alert, published, rig, run_row

ANN = "person:ann"
SHADOW_PLAN = PLAN.model_copy(update={"version": 2})
FIRST, SECOND = "198.51.100.7", "198.51.100.8"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        await made.add(published(SHADOW_PLAN), alert("alert_11"), alert("alert_12"))
        made.pass_time(timedelta(minutes=1))  # after the runs that are there
        await versions.set_stage(made.rt, "contain", 2, "shadow", actor=ANN)
        made.pass_time(timedelta(minutes=1))
        yield made


async def live(bench: ActivityRig, number: int, *addresses: str, status: str = "completed") -> None:
    """A live run about an alert of its own, that contained these and then came to this status."""
    run = f"live_{number}"
    await bench.add(run_row(run, alert_id=f"alert_{number}", created_at=bench.now[0]))
    for address in addresses:
        await bench.contained(bench.block(run, address, path=f"block_{address}"))
    async with bench.rt.store.write() as session:
        await session.execute(update(RunRow).where(RunRow.id == run).values(status=status))


async def shadow(
    bench: ActivityRig, number: int, *addresses: str, status: str = "completed", **more: Any
) -> RunContext:
    """The shadow's run about the same alert, that planned these."""
    run = f"dry_{number}"
    row = run_row(
        run, alert_id=f"alert_{number}", status=status, created_at=bench.now[0], version=2, plan_digest=SHADOW_PLAN.digest,
        mode=Mode.DRY_RUN.value, started_by="shadow", shadow_of=f"live_{number}", **more,
    )  # fmt: skip
    await bench.add(row)
    context = context_of(row)
    for address in addresses:
        ref = StepRef(run=context, path=f"block_{address}", seq=1)
        given = {
            "connection": "firewall",
            "capability": "firewall",
            "action": "block_address",
            "effect": Effect.CONTAIN,
        }
        call = StepCall(ref=ref, input={"address": address}, **given)
        await ActivityEnvironment().run(PlanChange(bench.rt).plan, PlanRequest(call=call))
    return context


def context_of(row: RunRow) -> RunContext:
    return RunContext(
        run_id=row.id, attempt=1, playbook="contain", version=2, plan_digest=SHADOW_PLAN.digest, mode=Mode.DRY_RUN, source="test",
        severity=4, started_by="shadow", incident_id="inc_1",
    )  # fmt: skip


async def report(bench: ActivityRig, **more: Any) -> ShadowReport:
    return await shadow_report(bench.rt, "contain", since=timedelta(days=7), **more)


def groups(found: ShadowReport) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    return {
        group.difference.value: [(each.about.alert_id, each.what) for each in group.examples]
        for group in found.groups
    }


async def test_change_of_the_live_run_is_no_difference(
    bench: ActivityRig,
) -> None:
    await live(bench, 11, FIRST)
    await shadow(bench, 11, FIRST)
    found = await report(bench)
    assert (found.alerts, found.same, groups(found)) == (1, 1, {})
    assert (found.version, found.until) == (2, None)


async def test_more_and_less_contained_changes_are_reported(bench: ActivityRig) -> None:
    await live(bench, 11, FIRST)
    await shadow(bench, 11, SECOND)
    assert groups(await report(bench)) == {
        "contained more": [("alert_11", (f"firewall.block_address {SECOND}",))],
        "contained less": [("alert_11", (f"firewall.block_address {FIRST}",))],
    }


async def test_runs_on_one_side_only_are_reported(bench: ActivityRig) -> None:
    await live(bench, 11, FIRST)
    await shadow(bench, 12, SECOND)
    found = groups(await report(bench))
    assert found["started only then"] == [("alert_11", ("ended completed",))]
    assert found["starts only now"] == [("alert_12", ("would end completed",))]


async def test_asked_failed_and_undetermined_steps_are_reported(
    bench: ActivityRig,
) -> None:
    await live(bench, 11, FIRST)
    context = await shadow(bench, 11, FIRST, SECOND, status="failed")
    asked = {
        "source": "step",
        "question": "?",
        "by": "soc",
        "quorum": 1,
        "within": 900,
        "otherwise": "stop",
        "reasons": [],
    }

    def record(path: str, state: StepState, **more: Any) -> StepRecord:
        return StepRecord(
            ref=StepRef(run=context, path=path, seq=2), kind="use", state=state, **more
        )

    records = [
        record(f"block_{SECOND}", StepState.PLANNED, asked=asked),
        record("look", StepState.FAILED, error="the system is away"),
        record("comment", StepState.UNDETERMINED, error="a dry run cannot tell: steps.open.key"),
    ]
    await ActivityEnvironment().run(RecordRun(bench.rt).record, records)
    found = groups(await report(bench))
    assert found["asked more"] == [("alert_11", (f"firewall.block_address {SECOND}",))]
    assert found["failed"] == [("alert_11", ("step look: the system is away",))]
    assert found["cannot tell"] == [
        ("alert_11", ("step comment: a dry run cannot tell: steps.open.key",))
    ]


async def test_newly_denied_changes_are_reported(bench: ActivityRig) -> None:
    await live(bench, 11)
    await bench.engage("global")
    await shadow(bench, 11, FIRST)
    assert groups(await report(bench)) == {
        "newly denied": [("alert_11", (f"firewall.block_address {FIRST}",))]
    }


async def test_open_runs_are_not_compared(bench: ActivityRig) -> None:
    await live(bench, 11, status="waiting")
    await shadow(bench, 11, FIRST)
    found = await report(bench)
    assert (found.alerts, found.open, found.groups) == (0, 1, ())


async def test_runs_outside_the_shadow_period_are_ignored(bench: ActivityRig) -> None:
    await bench.add(
        run_row(
            "early", alert_id="alert_11", status="completed", created_at=START - timedelta(hours=1)
        )
    )
    await versions.end_shadow(bench.rt, "contain", 2, actor=ANN)
    ended = bench.now[0]
    bench.pass_time(timedelta(minutes=1))
    await live(bench, 12, FIRST)
    found = await report(bench)
    assert (found.alerts, found.open, found.until) == (0, 0, ended)


async def test_alerts_of_dry_sources_are_not_compared(bench: ActivityRig) -> None:
    await bench.add(
        run_row(
            "dry_source",
            alert_id="alert_11",
            status="completed",
            mode=Mode.DRY_RUN.value,
            created_at=bench.now[0],
        )
    )
    await shadow(bench, 11, FIRST)
    assert (await report(bench)).alerts == 0


async def test_ended_shadow_takes_no_alerts_and_can_be_one_again(
    bench: ActivityRig,
) -> None:
    await versions.end_shadow(bench.rt, "contain", 2, actor=ANN)
    with pytest.raises(Conflict):
        await versions.end_shadow(bench.rt, "contain", 2, actor=ANN)
    [second, first] = await versions.version_usage(bench.rt, "contain")
    assert (second.retired, second.takes_alerts, first.takes_alerts) == (True, False, True)
    await versions.set_stage(bench.rt, "contain", 2, "shadow", actor=ANN)
    assert (await report(bench)).until is None


async def test_retired_shadow_has_no_new_runs(bench: ActivityRig) -> None:
    await retire_playbook(bench.rt, "contain", 2, actor=ANN)
    assert (await report(bench)).until == bench.now[0]


async def test_version_that_never_was_a_shadow_has_no_report(bench: ActivityRig) -> None:
    with pytest.raises(NotFound, match="tocsin shadow start contain@VERSION"):
        await report(bench, version=1)
