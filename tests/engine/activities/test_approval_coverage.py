"""Coverage: only approved changes are applied, despite withdrawals, break-glass and forgery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update
from temporalio.testing import ActivityEnvironment

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval
from orchestrator.approvals.withdraw import withdraw
from orchestrator.contracts.approval import AskReply, AskRequest
from orchestrator.contracts.run import StepRef
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.change import Change
from orchestrator.domain.errors import Conflict
from orchestrator.store.tables import ApprovalRow, AuditEventRow, EffectRow
from tests.harness.activity_rig import ActivityRig, AskPeople, context, rig
from tests.harness.run_answers import asked_change

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,))
ADA = Principal(key_id="k3", person="ada", roles=(Role.ADMIN,))
REASON = "no one else is awake"
STRICT = {"rules": [{"effect": "contain", "approve": {"by": "board", "quorum": 2}}]}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def ask(bench: ActivityRig, *changes: Change, path: str = "block", **more: Any) -> AskReply:
    given = {
        "ref": StepRef(run=context(), path=path, seq=1),
        "kind": "change",
        "question": "Block?",
        "within": 900,
    }
    return await ActivityEnvironment().run(
        AskPeople(bench.rt).ask,
        AskRequest(changes=tuple(map(asked_change, changes)), **given | more),
    )


async def approved(bench: ActivityRig, *changes: Change, **more: Any) -> AskReply:
    asked = await ask(bench, *changes, **more)
    await decide(bench.rt, None, asked.approval_id, ANN, "approve", asked.digest)
    return asked


async def state(bench: ActivityRig, asked: AskReply) -> str:
    return str((await get_approval(bench.rt, asked.approval_id)).state)


async def test_approval_withdrawn_before_apply_is_asked_again(
    bench: ActivityRig,
) -> None:
    call = bench.block()
    planned = await bench.plan(call)
    asked = await approved(bench, planned.change)
    await withdraw(bench.rt, None, asked.approval_id, ANN)
    refused = await bench.apply(call, planned, asked.approval_id)
    assert (refused.outcome, "is withdrawn" in refused.detail) == ("needs_approval", True)
    assert (await bench.rows(EffectRow), bench.effects("firewall")) == ([], 0)
    again = await ask(bench, planned.change, replaces=asked.approval_id)
    assert again.approval_id != asked.approval_id
    assert await ask(bench, planned.change, replaces=asked.approval_id) == again  # after a crash
    await decide(bench.rt, None, again.approval_id, ANN, "approve", again.digest)
    assert (await bench.apply(call, planned, again.approval_id)).outcome == "applied"


@pytest.mark.attack(
    "put back the rows of an approval from before it was withdrawn",
    before="the change is applied",
)
async def test_withdrawn_approval_that_was_put_back_applies_nothing(bench: ActivityRig) -> None:
    call = bench.block()
    planned = await bench.plan(call)
    asked = await approved(bench, planned.change)
    tables = ("approvals", "approval_decisions")
    async with bench.rt.store.write() as session:
        for table in tables:
            await session.execute(text(f"CREATE TABLE old_{table} AS SELECT * FROM {table}"))
    await withdraw(bench.rt, None, asked.approval_id, ANN)
    async with bench.rt.store.write() as session:
        for table in tables:
            await session.execute(text(f"INSERT OR REPLACE INTO {table} SELECT * FROM old_{table}"))
    assert await state(bench, asked) == "approved"
    refused = await bench.apply(call, planned, asked.approval_id)
    assert (refused.outcome, bench.effects("firewall")) == ("needs_approval", 0)
    assert "has 0 decisions with an event" in refused.detail


async def test_approval_withdrawn_after_apply_does_not_undo(
    bench: ActivityRig,
) -> None:
    call = bench.block()
    planned = await bench.plan(call)
    asked = await approved(bench, planned.change)
    assert (await bench.apply(call, planned, asked.approval_id)).outcome == "applied"
    with pytest.raises(Conflict, match="have begun; release"):
        await withdraw(bench.rt, None, asked.approval_id, ANN)
    assert await state(bench, asked) == "approved"


@pytest.mark.parametrize("withdrawal_first", [True, False])
async def test_concurrent_withdrawal_and_apply_have_one_winner(
    bench: ActivityRig, withdrawal_first: bool
) -> None:
    call = bench.block()
    planned = await bench.plan(call)
    asked = await approved(bench, planned.change)
    wishes = [
        withdraw(bench.rt, None, asked.approval_id, ANN),
        bench.apply(call, planned, asked.approval_id),
    ]
    said = await asyncio.gather(
        *(wishes if withdrawal_first else wishes[::-1]), return_exceptions=True
    )
    taken_back, applied = said if withdrawal_first else said[::-1]
    made = [row.state for row in await bench.rows(EffectRow)]
    if isinstance(taken_back, Conflict):
        assert (applied.outcome, made, await state(bench, asked)) == (
            "applied",
            ["applied"],
            "approved",
        )  # type: ignore[union-attr]
    else:
        assert (applied.outcome, made, await state(bench, asked)) == (
            "needs_approval",
            [],
            "withdrawn",
        )  # type: ignore[union-attr]
    assert bench.effects("firewall") == len(made)


async def test_begun_call_is_finished_after_its_approval_was_withdrawn(
    bench: ActivityRig,
) -> None:
    one, two = bench.block(path="a"), bench.block(path="b", address="198.51.100.8")
    first, second = await bench.plan(one), await bench.plan(two)
    asked = await approved(bench, first.change, second.change)
    await bench.apply(one, first, asked.approval_id)
    async with bench.rt.store.write() as session:  # as left by a worker that died during the call
        await session.execute(update(EffectRow).values(state="intended", ended_at=None))
    done = await withdraw(bench.rt, None, asked.approval_id, ANN)
    assert done.already_begun == (first.change.digest,)
    assert (await bench.apply(one, first, asked.approval_id)).outcome == "applied"
    assert (await bench.apply(two, second, asked.approval_id)).outcome == "needs_approval"


async def test_approval_of_a_changed_change_is_void_and_names_its_replacement(
    bench: ActivityRig,
) -> None:
    planned, otherwise = (
        await bench.plan(bench.block()),
        await bench.plan(bench.block(address="198.51.100.8")),
    )
    old = await approved(bench, planned.change)
    new = await ask(bench, otherwise.change, replaces=old.approval_id)
    shown = await get_approval(bench.rt, old.approval_id)
    assert (shown.state, shown.replaced_by) == ("void", new.approval_id)
    (event,) = [row for row in await bench.rows(AuditEventRow) if row.kind == "approval:voided"]
    assert (event.data["digest"], event.data["replaced_by_digest"]) == (old.digest, new.digest)
    assert "is void" in (await bench.apply(bench.block(), planned, old.approval_id)).detail


async def test_approval_voids_none_of_another_run(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    old = await approved(bench, planned.change)
    elsewhere = StepRef(run=context("run_2"), path="block", seq=1)
    await ask(bench, planned.change, ref=elsewhere, replaces=old.approval_id)
    assert await state(bench, old) == "approved"


async def test_expired_approval_is_asked_again_under_a_new_id(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    asked = await ask(bench, planned.change)
    await ActivityEnvironment().run(AskPeople(bench.rt).close_approval, asked.approval_id)
    assert (await ask(bench, planned.change)).approval_id != asked.approval_id


async def test_each_escalation_level_is_its_own_approval(
    bench: ActivityRig,
) -> None:
    planned = await bench.plan(bench.block())
    first = await ask(bench, planned.change, by="soc")
    bench.pass_time(timedelta(minutes=15))
    second = await ask(bench, planned.change, by="leads", escalated=True, level=1)
    assert second.expires_at == first.expires_at + timedelta(minutes=15)
    rows = await bench.rows(ApprovalRow, ApprovalRow.asked_at)
    assert [(row.by_group, row.level, row.escalated) for row in rows] == [
        ("soc", 0, False),
        ("leads", 1, True),
    ]


async def test_escalation_chain_does_not_bypass_the_group_of_the_policy(
    bench: ActivityRig,
) -> None:
    await bench.policy({"rules": [{"effect": "contain", "approve": {"by": "board"}}]})
    planned = await bench.plan(bench.block())
    asked = await approved(bench, planned.change, escalated=True, level=1)
    assert (
        "the policy requires board"
        in (await bench.apply(bench.block(), planned, asked.approval_id)).detail
    )


async def test_break_glass_satisfies_any_rule(bench: ActivityRig) -> None:
    await bench.policy(STRICT)
    planned = await bench.plan(bench.block())
    asked = await ask(bench, planned.change, by="board", quorum=2)
    await break_glass(bench.rt, None, asked.approval_id, ADA, asked.digest, REASON)
    assert (await bench.apply(bench.block(), planned, asked.approval_id)).outcome == "applied"


@pytest.mark.parametrize("stop", ["protect", "deny", "kill switch"])
async def test_break_glass_passes_no_protection_no_deny_and_no_kill_switch(
    bench: ActivityRig, stop: str
) -> None:
    planned = await bench.plan(bench.block())
    asked = await ask(bench, planned.change)
    await break_glass(bench.rt, None, asked.approval_id, ADA, asked.digest, REASON)
    match stop:
        case "protect":
            await bench.policy({"protect": {"addresses": ["198.51.100.7"]}})
        case "deny":
            await bench.policy({"rules": [{"effect": "contain", "deny": "not today"}]})
        case _:
            await bench.engage("global")
    assert (await bench.apply(bench.block(), planned, asked.approval_id)).outcome == "refused"
    assert bench.effects("firewall") == 0


async def test_break_glass_for_some_changes_covers_no_others(bench: ActivityRig) -> None:
    one, two = bench.block(path="a"), bench.block(path="b", address="198.51.100.8")
    first, second = await bench.plan(one), await bench.plan(two)
    asked = await ask(bench, first.change, second.change)
    await break_glass(
        bench.rt, None, asked.approval_id, ADA, asked.digest, REASON, [first.change.digest]
    )
    assert (await bench.apply(two, second, asked.approval_id)).outcome == "needs_approval"
    assert (await bench.apply(one, first, asked.approval_id)).outcome == "applied"


@pytest.mark.parametrize("kept", ["pending", "declined", "expired", "void", "withdrawn"])
async def test_forged_approval_is_refused_at_apply(bench: ActivityRig, kept: str) -> None:
    planned = await bench.plan(bench.block())
    asked = await ask(bench, planned.change)
    async with bench.rt.store.write() as session:
        (row,) = await session.scalars(select(ApprovalRow))
        row.state = ApprovalState(kept)
    reply = await bench.apply(bench.block(), planned, asked.approval_id)
    assert (reply.outcome, reply.detail) == (
        "needs_approval",
        f"approval {asked.approval_id} is {kept}",
    )
    assert (await bench.rows(EffectRow), bench.effects("firewall")) == ([], 0)
