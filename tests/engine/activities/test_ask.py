"""Approvals: opened once, bound to exact changes, checked in the transaction of the intent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from orchestrator.approvals.decide import decide
from orchestrator.contracts.approval import AskReply, AskRequest, Decision
from orchestrator.contracts.run import RunEnd, StepRef
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.change import Change
from orchestrator.domain.run import RunStatus
from orchestrator.playbook.plan import FormField
from orchestrator.store.tables import ApprovalRow, EffectRow, RunRow
from tests.harness.activity_rig import ActivityRig, AskPeople, RecordRun, context, rig
from tests.harness.run_answers import asked_change

ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,), groups=("leads",))
BOB = Principal(key_id="k2", person="bob", roles=(Role.APPROVER,), groups=("leads",))
ASKING = {"rules": [{"effect": "contain", "approve": True}]}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        yield made


async def ask(bench: ActivityRig, *changes: Change, **more: Any) -> AskReply:
    given = {
        "ref": StepRef(run=context(), path="block", seq=1),
        "kind": "change",
        "question": "Block?",
        "within": 900,
    }
    return await ActivityEnvironment().run(
        AskPeople(bench.rt).ask,
        AskRequest(changes=tuple(map(asked_change, changes)), **given | more),
    )


async def close(bench: ActivityRig, asked: AskReply) -> Decision:
    return await ActivityEnvironment().run(AskPeople(bench.rt).close_approval, asked.approval_id)


async def test_change_that_needs_approval_is_applied_only_after_it(
    bench: ActivityRig,
) -> None:
    await bench.policy(ASKING)
    call = bench.block()
    planned = await bench.plan(call)
    assert (await bench.apply(call, planned)).outcome == "needs_approval"
    asked = await ask(bench, planned.change)
    assert (await bench.apply(call, planned, asked.approval_id)).outcome == "needs_approval"
    assert await bench.rows(EffectRow) == []
    await decide(bench.rt, None, asked.approval_id, ANN, "approve", asked.digest)
    assert (await bench.apply(call, planned, asked.approval_id)).outcome == "applied"
    assert [row.approval_id for row in await bench.rows(EffectRow)] == [asked.approval_id]


async def test_approval_covers_no_other_change_and_no_other_run(bench: ActivityRig) -> None:
    call, other = bench.block(), bench.block(address="198.51.100.8")
    planned, otherwise = await bench.plan(call), await bench.plan(other)
    asked = await ask(bench, planned.change)
    await decide(bench.rt, None, asked.approval_id, ANN, "approve", asked.digest)
    assert "does not cover" in (await bench.apply(other, otherwise, asked.approval_id)).detail
    foreign = bench.block("run_2")
    assert (
        "no approval"
        in (await bench.apply(foreign, await bench.plan(foreign), asked.approval_id)).detail
    )
    assert await bench.rows(EffectRow) == []


async def test_only_chosen_changes_are_approved(bench: ActivityRig) -> None:
    one, two = bench.block(path="a"), bench.block(path="b", address="198.51.100.8")
    first, second = await bench.plan(one), await bench.plan(two)
    asked = await ask(bench, first.change, second.change)
    await decide(
        bench.rt,
        None,
        asked.approval_id,
        ANN,
        "approve",
        asked.digest,
        changes=[second.change.digest],
    )
    assert (await bench.apply(one, first, asked.approval_id)).outcome == "needs_approval"
    assert (await bench.apply(two, second, asked.approval_id)).outcome == "applied"
    assert (await close(bench, asked)).approved_changes == (second.change.digest,)


async def test_approval_laxer_than_the_policy_does_not_count(bench: ActivityRig) -> None:
    await bench.policy({"rules": [{"effect": "contain", "approve": {"by": "board", "quorum": 2}}]})
    planned = await bench.plan(bench.block())
    assert (planned.verdict.by, planned.verdict.quorum) == ("board", 2)
    asked = await ask(bench, planned.change, quorum=1)
    await decide(bench.rt, None, asked.approval_id, ANN, "approve", asked.digest)
    assert (
        "the policy requires 2"
        in (await bench.apply(bench.block(), planned, asked.approval_id)).detail
    )


async def test_repeated_ask_returns_the_same_approval(bench: ActivityRig) -> None:
    planned = await bench.plan(bench.block())
    first = await ask(bench, planned.change)
    bench.pass_time(timedelta(minutes=1))
    assert await ask(bench, planned.change) == first
    assert (await bench.kinds()).count("approval:asked") == 1
    assert (await bench.rows(RunRow, RunRow.id))[0].status == "waiting"


async def test_unanswered_approval_expires_and_the_run_continues(
    bench: ActivityRig,
) -> None:
    asked = await ask(bench, (await bench.plan(bench.block())).change)
    assert (await close(bench, asked)).state == "expired"
    assert (await close(bench, asked)).state == "expired"
    assert (await bench.kinds()).count("approval:expired") == 1
    assert (await bench.rows(RunRow, RunRow.id))[0].status == "running"


async def test_decision_just_before_expiry_counts(bench: ActivityRig) -> None:
    form = {"severity": FormField(type="choice", label="Severity", choices=("low", "high"))}
    asked = await ask(bench, kind="form", question="How bad?", form=form)
    await decide(
        bench.rt,
        None,
        asked.approval_id,
        ANN,
        "approve",
        asked.digest,
        "seen",
        form={"severity": "high"},
    )
    decision = await close(bench, asked)
    assert (decision.state, decision.form, decision.by, decision.comment) == (
        "approved",
        {"severity": "high"},
        ("ann",),
        "seen",
    )


async def test_end_of_run_withdraws_its_approvals(bench: ActivityRig) -> None:
    await ask(bench, (await bench.plan(bench.block())).change)
    await ActivityEnvironment().run(
        RecordRun(bench.rt).end, RunEnd(run=context(), status=RunStatus.CANCELLED)
    )
    assert [row.state for row in await bench.rows(ApprovalRow)] == ["withdrawn"]
    assert (await bench.rows(RunRow, RunRow.id))[0].status == "cancelled"


async def test_unknown_approval_cannot_be_closed(bench: ActivityRig) -> None:
    with pytest.raises(ApplicationError, match="approval apr_x does not exist") as caught:
        await ActivityEnvironment().run(AskPeople(bench.rt).close_approval, "apr_x")
    assert caught.value.non_retryable
