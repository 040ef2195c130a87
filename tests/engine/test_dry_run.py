"""Does a dry run tell all that it would do, and change nothing, whatever its connectors try?"""

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
from connectors.sdk.call import Call
from orchestrator.contracts.messages import ActionCall, ApplyRequest, PlanRequest, StepRef
from orchestrator.domain.change import Effect, Verdict
from orchestrator.domain.run import Mode
from orchestrator.engine.activities.apply import Applying
from orchestrator.engine.activities.plan import Planning
from orchestrator.runs.queries import get_run
from orchestrator.store.tables import AuditEventRow, LeaseRow, StepRow
from tests.harness.activity_rig import Rig as Bench
from tests.harness.activity_rig import context, rig, run_row
from tests.harness.run_rig import Rig
from tests.harness.world import World

DRY = "run_dry"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with rig(tmp_path) as made:
        await made.add(run_row(DRY, mode=Mode.DRY_RUN.value))
        yield made


def block(address: str = "198.51.100.7", path: str = "block") -> ActionCall:
    ref = StepRef(run=context(DRY, mode=Mode.DRY_RUN), path=path, seq=1)
    return ActionCall(
        ref=ref,
        connection="firewall",
        capability="firewall",
        action="block_address",
        effect=Effect.CONTAIN,
        input={"address": address},
    )


async def plan(bench: Bench, call: ActionCall, hold: int | None = None) -> Any:
    return await ActivityEnvironment().run(
        Planning(bench.rt).plan, PlanRequest(call=call, hold_seconds=hold)
    )


async def test_it_tells_the_receipt_the_judgement_and_how_long_it_would_hold(bench: Bench) -> None:
    planned = await plan(bench, block(), hold=3600)
    [each] = (await get_run(bench.rt, DRY))["would"]
    assert (each["path"], each["connection"], each["action"], each["effect"]) == (
        "block",
        "firewall",
        "block_address",
        "contain",
    )
    assert (each["target"], each["changed"], each["hold_seconds"]) == (
        {"type": "address", "value": "198.51.100.7"},
        True,
        3600,
    )
    assert each["digest"] == planned.change.digest
    assert each["verdict"] == {
        name: planned.verdict.model_dump(mode="json")[name]
        for name in ("verdict", "reasons", "rule")
    }
    assert (bench.effects("firewall"), await bench.rows(LeaseRow)) == (0, [])


async def test_it_applies_nothing_even_when_it_is_told_to(bench: Bench) -> None:
    planned = await plan(bench, block())
    with pytest.raises(ApplicationError):
        await ActivityEnvironment().run(
            Applying(bench.rt).apply, ApplyRequest(call=block(), change=planned.change)
        )
    assert bench.effects("firewall") == 0


async def test_a_live_run_tells_of_nothing_that_it_would_do(bench: Bench) -> None:
    await bench.plan(bench.block())
    assert (await get_run(bench.rt, "run_1"))["would"] == []


async def _posts(connector: PaloAlto) -> None:
    await connector.http.post("/api/", data={"type": "user-id", "cmd": "x"})


async def _own_client(_: PaloAlto) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post("http://127.0.0.1:9/")


async def _process(_: PaloAlto) -> None:
    subprocess.run(["/bin/true"], check=True)  # noqa: ASYNC221


@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize("deed", [_posts, _own_client, _process])
async def test_a_plan_that_tries_to_change_something_is_stopped_and_on_record(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, deed: Any, *, swallowed: bool
) -> None:
    real = PaloAlto.plan_block_address

    async def malicious(connector: PaloAlto, wish: Any, call: Call) -> Any:
        if not swallowed:
            await deed(connector)
        with suppress(BaseException):
            await deed(connector)
        return await real(connector, wish, call)

    monkeypatch.setattr(PaloAlto, PaloAlto.bound["block_address"].plan or "", malicious)
    with pytest.raises(ApplicationError, match="tried to change something") as caught:
        await plan(bench, block())
    assert caught.value.non_retryable
    await reported(bench, "firewall", "block_address")
    assert (await get_run(bench.rt, DRY))["would"] == []
    assert bench.effects("firewall") == 0


async def reported(bench: Bench, connection: str, action: str) -> None:
    [step] = await bench.rows(StepRow)
    assert step.state == "failed"
    assert "tried to change something" in step.error
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


async def asked_of(rig: Rig, body: str) -> dict[str, Any]:
    """What is noted of whom would be asked, by path."""
    result = await rig.run(body, mode=Mode.DRY_RUN)
    assert result.status == "completed"
    return {
        record.ref.path: record.asked for record in rig.world.records if record.asked is not None
    }


async def test_it_tells_who_would_be_asked_by_step_group_and_form(rig: Rig) -> None:
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


async def test_it_tells_that_the_policy_would_ask(rig: Rig, world: World) -> None:
    world.verdict, world.policy_by, world.policy_quorum = Verdict.ASK, "admins", 3
    asked = (await asked_of(rig, DENIED))["block"]
    assert (asked["source"], asked["by"], asked["quorum"]) == ("policy", "admins", 3)


async def test_nobody_would_be_asked_about_what_is_denied_and_the_run_goes_on(
    rig: Rig, world: World
) -> None:
    world.verdict = Verdict.DENY
    assert await asked_of(rig, STEPS.split("  - {id: why")[0]) == {}
    assert {request.call.ref.path for request in world.planned} == {
        "own",
        "both/isolate",
        "both/alone",
    }
