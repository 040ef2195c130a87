"""Whole runs through a real Temporal server, the workflows and activities, to the emulators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval, list_approvals
from orchestrator.approvals.withdraw import withdraw
from orchestrator.briefing.approval import ApprovalView
from orchestrator.containments.queries import EVERY, list_containments
from orchestrator.containments.release import release
from orchestrator.contracts.approval import Decision
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import Conflict, Forbidden
from orchestrator.domain.run import BEFORE
from orchestrator.playbook.plan import AnyStep, Approve, Ask, FormField, Parallel, Plan, Use
from orchestrator.runs.dispatch import dispatch
from orchestrator.runs.queries import get_run
from orchestrator.runs.reconcile import reconcile
from orchestrator.store.search.filters import ApprovalFilter
from orchestrator.store.tables import PlaybookRow, RunKeyRow
from tests.harness.activity_rig import START, ActivityRig, run_row
from tests.harness.temporal_rig import on_temporal, until_lifted

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))


def use(
    id_: str,
    connection: str,
    capability: str,
    action: str,
    effect: Effect,
    inputs: dict[str, Any],
    **more: Any,
) -> Use:
    return Use(
        id=id_,
        connection=connection,
        capability=capability,
        action=action,
        effect=effect,
        inputs=inputs,
        **more,
    )


BLOCK = use(
    "block",
    "firewall",
    "firewall",
    "block_address",
    Effect.CONTAIN,
    {"address": "198.51.100.7"},
    hold=86_400,
)
TICKET = use("ticket", "tickets", "ticketing", "open", Effect.NOTIFY, {"title": "Contained"})
REFUSED = use(
    "comment", "tickets", "ticketing", "comment", Effect.NOTIFY, {"key": "NOPE-1", "text": "x"}
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[tuple[ActivityRig, Client]]:
    async with on_temporal(tmp_path) as both:
        yield both


@asynccontextmanager
async def at_most(seconds: int) -> AsyncIterator[None]:
    async with asyncio.timeout(seconds):
        yield


async def start(
    made: ActivityRig,
    client: Client,
    *steps: AnyStep,
    on_failure: Any = "stop",
    run: str = "run_w",
    **columns: Any,
) -> None:
    plan = Plan(
        playbook="whole", version=1, title="t", owner="o", steps=steps, on_failure=on_failure
    )
    more: dict[str, Any] = {
        "source": "",
        "published_at": START,
        "published_by": "x",
        "plan": plan.model_dump(mode="json"),
    }
    await made.add(
        PlaybookRow(name="whole", version=1, digest=plan.digest, title="t", owner="o", **more)
    )
    await made.add(
        run_row(run, playbook="whole", plan_digest=plan.digest, dispatched=False, **columns)
    )
    assert await dispatch(made.rt, client, [run]) == 1


async def ended(client: Client, run: str = "run_w") -> dict[str, Any]:
    async with at_most(30):
        result: dict[str, Any] = await client.get_workflow_handle(f"run-{run}-1").result()
    return result


async def test_run_contains_and_holds_until_released(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await start(made, client, Parallel(id="contain", steps=(BLOCK,)), TICKET)
    assert (await ended(client))["status"] == "completed", await get_run(made.rt, "run_w")
    run = await get_run(made.rt, "run_w")
    assert run.status == "completed"
    assert {step.id: step.state for step in run.steps} == {
        "contain": "done",
        "contain/block": "verified",
        "ticket": "verified",
    }
    assert made.effects("firewall") == made.effects("tickets") == 1
    (held,) = (await list_containments(made.rt, EVERY)).items
    assert (held.state, held.ours, len(held.leases)) == ("held", True, 1)
    assert held.leases[0].expires_at is not None
    await release(made.rt, held.id, actor="person:ann")
    await until_lifted(made, held.id)
    assert (await list_containments(made.rt, EVERY)).items[0].state == "lifted"
    assert made.effects("firewall") == 2
    assert [step.state for step in (await get_run(made.rt, "run_w")).steps] == [
        "done",
        "released",
        "verified",
    ]


async def test_failed_run_is_rolled_back(bench: tuple[ActivityRig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK, REFUSED, on_failure="roll_back")
    assert (await ended(client))["status"] == "rolled_back"
    assert made.effects("firewall") == 2
    assert (await list_containments(made.rt, EVERY)).items[0].state == "lifted"
    assert {step.id: step.state for step in (await get_run(made.rt, "run_w")).steps} == {
        "block": "undone",
        "comment": "failed",
    }


async def test_approved_change_is_applied(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    async with at_most(30):
        while not (
            found := (
                await list_approvals(made.rt, ApprovalFilter(state=(ApprovalState.PENDING,)))
            ).items
        ):  # no event to wait for
            await asyncio.sleep(0.05)
    assert (await get_run(made.rt, "run_w")).status == "waiting"
    assert made.effects("firewall") == 0
    await decide(made.rt, client, found[0].id, ANN, "approve", found[0].digest)
    assert (await ended(client))["status"] == "completed"
    assert made.effects("firewall") == 1
    assert (await get_run(made.rt, "run_w")).status == "completed"


async def pending(made: ActivityRig) -> ApprovalView:
    """Return the next open approval."""
    async with at_most(30):
        while not (
            found := (
                await list_approvals(made.rt, ApprovalFilter(state=(ApprovalState.PENDING,)))
            ).items
        ):  # no event to wait for
            await asyncio.sleep(0.05)
    return found[0]


async def test_approval_withdrawn_before_delivery_is_asked_again(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    first = await pending(made)
    await decide(made.rt, None, first.id, ANN, "approve", first.digest)
    await withdraw(made.rt, None, first.id, ANN)
    await reconcile(made.rt, client)
    second = await pending(made)
    assert second.id != first.id
    assert (await get_approval(made.rt, first.id)).state == "withdrawn"
    assert made.effects("firewall") == 0
    await decide(made.rt, client, second.id, ANN, "approve", second.digest)
    assert (await ended(client))["status"] == "completed"
    assert made.effects("firewall") == 1


async def send_past_the_store(client: Client, forged: Decision) -> None:
    """Send a decision as anyone who reaches Temporal can, and wait until the run looked it up."""
    handle = client.get_workflow_handle("run-run_w-1")
    await handle.execute_update("decide", forged)
    async with at_most(30):
        while not [
            event
            async for event in handle.fetch_history_events()
            if b"read_decision" in event.SerializeToString()
        ]:
            await asyncio.sleep(0.05)  # no event to wait for


async def test_forged_decision_changes_nothing(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"approve": Approve(question="Block?")}))
    asked = await pending(made)
    digests = (asked.planned_changes[0].digest,)
    await send_past_the_store(
        client,
        Decision(approval_id=asked.id, state="approved", approved_changes=digests, by=("ann",)),
    )
    assert [(each.id, each.decisions) for each in (await list_approvals(made.rt)).items] == [
        (asked.id, ())
    ]
    await decide(made.rt, client, asked.id, ANN, "decline", asked.digest)
    assert (await ended(client))["status"] == "declined"
    assert made.effects("firewall") == 0


async def test_forged_form_is_not_used(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    field = FormField(type="text", label="Why")
    await start(made, client, Ask(id="ask", question="Why?", form={"why": field}, within=900))
    asked = await pending(made)
    await send_past_the_store(
        client,
        Decision(approval_id=asked.id, state="approved", form={"why": "forged"}, by=("ann",)),
    )
    await decide(made.rt, client, asked.id, ANN, "approve", asked.digest, form={"why": "so"})
    assert (await ended(client))["status"] == "completed"
    assert [step.result for step in (await get_run(made.rt, "run_w")).steps] == [{"why": "so"}]


async def over_the_limit(made: ActivityRig, client: Client) -> ApprovalView:
    """Start a run over its playbook's `runs_per_hour`; return the approval it waits for."""
    await made.policy({"limits": {"by": "leads", "quorum": 2}})
    await made.add(RunKeyRow(playbook="whole", once_key="k", run_id="run_w", at=START))
    await start(made, client, BLOCK, over_limit=3, once_key="k")
    return await pending(made)


async def test_run_over_its_limit_waits_for_the_group_of_the_policy(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    asked = await over_the_limit(made, client)
    assert (asked.by, asked.quorum, asked.planned_changes, asked.path) == (
        "leads",
        2,
        (),
        BEFORE,
    )
    assert asked.question == "Let one more run of whole begin about t?"
    assert list(asked.reasons) == [
        "whole has used its 3 runs of this hour",
        "once per: k",
    ]
    run = await get_run(made.rt, "run_w")
    assert (run.status, made.effects("firewall")) == ("waiting", 0)
    assert [(step.id, step.kind, step.state) for step in run.steps] == [
        (BEFORE, "approval", "waiting")
    ]
    leads = [
        Principal(key_id=name, person=name, roles=(Role.APPROVER,), groups=("leads",))
        for name in ("bob", "cay")
    ]
    with pytest.raises(Forbidden, match="not a member of leads"):
        await decide(made.rt, client, asked.id, ANN, "approve", asked.digest)
    await decide(made.rt, client, asked.id, leads[0], "approve", asked.digest)
    await decide(made.rt, client, asked.id, leads[1], "approve", asked.digest, changes=[])
    with pytest.raises(Conflict, match="cancel it instead"):
        await withdraw(made.rt, client, asked.id, leads[0])
    assert (await ended(client))["status"] == "completed"
    assert (made.effects("firewall"), len(await made.rows(RunKeyRow))) == (1, 1)


async def test_declined_run_over_its_limit_changes_nothing_and_frees_its_key(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    asked = await over_the_limit(made, client)
    lead = Principal(key_id="k", person="bob", roles=(Role.APPROVER,), groups=("leads",))
    await decide(made.rt, client, asked.id, lead, "decline", asked.digest, "a flood")
    assert await ended(client) == {
        "status": "declined",
        "error": "the run did not begin: declined by bob: a flood",
        "failed_path": None,
        "steps": 0,
    }
    assert (made.effects("firewall"), await made.rows(RunKeyRow)) == (0, [])
    assert (await made.kinds())[-2:] == ["approval:decided", "run:ended"]


async def test_expired_lease_is_lifted_automatically(bench: tuple[ActivityRig, Client]) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"hold": 1}))
    assert (await ended(client))["status"] == "completed"
    async with at_most(30):
        while (await list_containments(made.rt, EVERY)).items[0].state != "lifted":
            await reconcile(made.rt, client)
            await asyncio.sleep(0.1)
    assert made.effects("firewall") == 2


async def test_lost_block_is_applied_again_and_released_in_the_end(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    firewall: Any = made.worlds["firewall"]
    await made.policy({"drift": {"every": "1s", "then": "reapply"}})
    await start(made, client, BLOCK.model_copy(update={"hold": None}))
    assert (await ended(client))["status"] == "completed"
    blocked = firewall.in_force()
    (held,) = (await list_containments(made.rt)).items
    assert held.expires_at is None
    firewall.tags.clear()
    async with at_most(30):
        while firewall.in_force() != blocked:  # no event to wait for
            await asyncio.sleep(0.1)
    await release(made.rt, held.id, actor="person:ann")
    await until_lifted(made, held.id)
    assert firewall.in_force() != blocked
    assert (await list_containments(made.rt)).items == []


async def test_lease_ends_in_time_whatever_became_of_an_earlier_release(
    bench: tuple[ActivityRig, Client],
) -> None:
    made, client = bench
    await start(made, client, BLOCK.model_copy(update={"hold": 2}))
    assert (await ended(client))["status"] == "completed"
    (held,) = (await list_containments(made.rt)).items
    await until_lifted(made, held.id)
    assert made.effects("firewall") == 2
