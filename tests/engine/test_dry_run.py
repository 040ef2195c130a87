"""Dry runs: they show every change and change nothing, whatever a connector tries."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from connectors.palo_alto.connector import PaloAlto
from connectors.sdk.call import ActionCall
from orchestrator.contracts.change import ApplyRequest, PlanRequest, StepCall
from orchestrator.contracts.run import StepRef
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.run import Mode
from orchestrator.engine.activities.apply import ApplyChange
from orchestrator.engine.activities.plan import PlanChange
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import AuditEventRow, LeaseRow, StepRow
from tests.harness.activity_rig import ActivityRig as Bench
from tests.harness.activity_rig import context, rig, run_row
from tests.harness.run_rig import RunRig
from tests.harness.world import MemoryWorld

DRY = "run_dry"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with rig(tmp_path) as made:
        await made.add(run_row(DRY, mode=Mode.DRY_RUN.value))
        yield made


def block(address: str = "198.51.100.7", path: str = "block") -> StepCall:
    ref = StepRef(run=context(DRY, mode=Mode.DRY_RUN), path=path, seq=1)
    return StepCall(
        ref=ref,
        connection="firewall",
        capability="firewall",
        action="block_address",
        effect=Effect.CONTAIN,
        input={"address": address},
    )


async def plan(bench: Bench, call: StepCall, hold: int | None = None) -> Any:
    return await ActivityEnvironment().run(
        PlanChange(bench.rt).plan, PlanRequest(call=call, hold_seconds=hold)
    )


async def test_dry_run_shows_planned_change_verdict_and_hold(bench: Bench) -> None:
    planned = await plan(bench, block(), hold=3600)
    [change] = (await get_run(bench.rt, DRY)).dry_run_changes
    assert (change.path, change.connection, change.action, change.effect) == (
        "block",
        "firewall",
        "block_address",
        "contain",
    )
    assert (change.target, change.changed, change.hold_seconds) == (
        {"type": "address", "value": "198.51.100.7"},
        True,
        3600,
    )
    assert change.digest == planned.change.digest
    assert change.verdict is not None
    assert (change.verdict.outcome, tuple(change.verdict.reasons), change.verdict.rule) == (
        planned.verdict.outcome,
        planned.verdict.reasons,
        planned.verdict.rule,
    )
    assert (bench.effects("firewall"), await bench.rows(LeaseRow)) == (0, [])


async def test_dry_run_refuses_to_apply(bench: Bench) -> None:
    planned = await plan(bench, block())
    with pytest.raises(ApplicationError):
        await ActivityEnvironment().run(
            ApplyChange(bench.rt).apply, ApplyRequest(call=block(), change=planned.change)
        )
    assert bench.effects("firewall") == 0


async def test_live_run_shows_no_dry_run_changes(bench: Bench) -> None:
    await bench.plan(bench.block())
    assert (await get_run(bench.rt, "run_1")).dry_run_changes == []


async def _posts(connector: PaloAlto) -> None:
    await connector.http.post("/api/", data={"type": "user-id", "cmd": "x"})


async def _own_client(_: PaloAlto) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post("http://127.0.0.1:9/")


async def _process(_: PaloAlto) -> None:
    subprocess.run(["/bin/true"], check=True)  # noqa: ASYNC221


@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize("deed", [_posts, _own_client, _process])
async def test_write_attempt_during_plan_is_refused_and_audited(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, deed: Any, *, swallowed: bool
) -> None:
    real = PaloAlto.plan_block_address

    async def malicious(connector: PaloAlto, wish: Any, call: ActionCall) -> Any:
        if not swallowed:
            await deed(connector)
        with suppress(BaseException):
            await deed(connector)
        return await real(connector, wish, call)

    monkeypatch.setattr(PaloAlto, PaloAlto.bound["block_address"].plan or "", malicious)
    with pytest.raises(ApplicationError, match="attempted a write") as caught:
        await plan(bench, block())
    assert caught.value.non_retryable
    await reported(bench, "firewall", "block_address")
    assert (await get_run(bench.rt, DRY)).dry_run_changes == []
    assert bench.effects("firewall") == 0


async def reported(bench: Bench, connection: str, action: str) -> None:
    [step] = await bench.rows(StepRow)
    assert step.state == "failed"
    assert "attempted a write" in step.error
    [event] = await bench.rows(AuditEventRow)
    assert (event.kind, event.subject) == ("run:step:write_refused", DRY)
    assert (event.data["connection"], event.data["action"], event.data["path"]) == (
        connection,
        action,
        "block",
    )


DENIED = "steps: [{id: block, use: firewall.block_address, with: {address: 203.0.113.7}}]"
STEPS = """\
steps:
  - id: own
    use: firewall.block_address
    with: {address: 203.0.113.7}
    approve: {question: "Block it?", by: soc-leads, quorum: 2, within: 10m}
  - id: both
    approve: {question: "Both?", by: hosts}
    parallel:
      - {id: isolate, use: edr.isolate_host, with: {host: ws-042}}
      - {id: alone, use: edr.isolate_host, with: {host: ws-043}, approve: {question: "This one?"}}
  - {id: why, ask: {question: "Why?", by: duty, form: {why: {type: text, label: Why}}, within: 1h}}
  - {id: ticket, use: tickets.open, with: {title: Done}}
"""


async def asked_of(rig: RunRig, body: str) -> dict[str, Any]:
    """Return who would be asked, by path."""
    result = await rig.run(body, mode=Mode.DRY_RUN)
    assert result.status == "completed"
    return {
        record.ref.path: record.asked for record in rig.world.records if record.asked is not None
    }


async def test_dry_run_shows_who_would_be_asked(rig: RunRig) -> None:
    asked = await asked_of(rig, STEPS)
    assert {
        path: (each["source"], each["question"], each["by"], each["quorum"])
        for path, each in asked.items()
    } == {
        "own": ("step", "Block it?", "soc-leads", 2),
        "both/isolate": ("group", "Both?", "hosts", 1),
        "both/alone": ("step", "This one?", None, 1),
        "why": ("form", "Why?", "duty", 1),
    }
    assert asked["own"]["within"] == 600
    assert rig.world.applied == []


async def test_dry_run_shows_that_the_policy_would_ask(rig: RunRig, world: MemoryWorld) -> None:
    world.verdict, world.policy_by, world.policy_quorum = Verdict.ASK, "admins", 3
    asked = (await asked_of(rig, DENIED))["block"]
    assert (asked["source"], asked["by"], asked["quorum"]) == ("policy", "admins", 3)


async def test_denied_change_asks_no_one_and_the_dry_run_continues(
    rig: RunRig, world: MemoryWorld
) -> None:
    world.verdict = Verdict.DENY
    assert await asked_of(rig, STEPS.split("  - {id: why")[0]) == {}
    assert {request.call.ref.path for request in world.planned} == {
        "own",
        "both/isolate",
        "both/alone",
    }
