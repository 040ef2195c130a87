"""Batches: like questions of one source join, and a decision covers exactly what was shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from orchestrator.approvals.batches.decide import BatchDecision, ShownApproval, decide_batch
from orchestrator.approvals.batches.views import get_batch, list_batches
from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import list_approvals
from orchestrator.contracts.approval import AskReply, AskRequest
from orchestrator.contracts.run import StepRef
from orchestrator.domain.access import Principal
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Invalid, NotFound
from orchestrator.playbook.plan import FormField
from orchestrator.store.search.filters import ApprovalFilter
from orchestrator.store.tables import ApprovalRow, DecisionRow
from tests.harness.activity_rig import ActivityRig, AskPeople, context, rig, run_row
from tests.harness.approval_rows import ADA, ANN, BOB, EVE
from tests.harness.trails import stored_events


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ActivityRig]:
    async with rig(tmp_path) as made:
        await made.policy({"approvals": {"new_approvers_wait": 0, "remind_every": "5m"}})
        yield made


async def ask(
    bench: ActivityRig, run: str, path: str = "block", columns: Any = None, **more: Any
) -> AskReply:
    """Ask in a run, which is made where it is new."""
    known = {row.id for row in await bench.rows(type(run_row("x")))}
    if run not in known:
        await bench.add(run_row(run, **columns or {}))
    asking = {
        "ref": StepRef(run=context(run), path=path, seq=1),
        "kind": "change",
        "question": f"Block for {run}?",
        "within": 900,
        "changes": (),
    }
    request = AskRequest(**asking | more)
    return await ActivityEnvironment().run(AskPeople(bench.rt).ask, request)


async def batches(bench: ActivityRig) -> list[str | None]:
    """Return the batch of each approval, in the order of asking."""
    return [
        row.batch for row in await bench.rows(ApprovalRow, ApprovalRow.asked_at, ApprovalRow.run_id)
    ]


async def answer(
    bench: ActivityRig, batch: str, who: Principal, *shown: AskReply, **more: Any
) -> BatchDecision:
    """Decide what was shown, and nothing else."""
    items = [ShownApproval(id=each.approval_id, digest=each.digest) for each in shown]
    decision = more.pop("decision", "approve")
    return await decide_batch(bench.rt, None, batch, who, decision, items, **more)


async def test_like_questions_of_one_source_are_one_batch(bench: ActivityRig) -> None:
    asked = [await ask(bench, f"run_{number}") for number in (1, 2, 3)]
    (view,) = (await list_batches(bench.rt, principal=ANN)).items
    assert (view.count, view.playbook, view.source, view.path) == (3, "contain", "test", "block")
    assert {item.id: item.digest for item in view.items} == {
        each.approval_id: each.digest for each in asked
    }
    listed = await list_approvals(bench.rt, ApprovalFilter(batch=view.id))
    assert {each.id for each in listed.items} == {each.approval_id for each in asked}
    assert {each.batch for each in listed.items} == {view.id}


@pytest.mark.parametrize(
    ("columns", "more"),
    [
        ({"source": "other"}, {}),
        ({"playbook": "other"}, {}),
        ({"version": 2}, {}),
        ({"plan_digest": "other"}, {}),
        ({}, {"path": "isolate"}),
        ({}, {"by": "leads"}),
        ({}, {"quorum": 2}),
        ({}, {"level": 1}),
        ({}, {"kind": "form", "form": {"why": FormField(type="text", label="Why")}}),
    ],
)
async def test_another_question_is_another_batch(
    bench: ActivityRig, columns: dict[str, Any], more: dict[str, Any]
) -> None:
    await ask(bench, "run_1")
    await ask(bench, "run_9", columns=columns, **more)
    one, other = await batches(bench)
    assert one != other


async def test_forms_with_other_fields_are_not_joined(bench: ActivityRig) -> None:
    for run, label in (("run_1", "Why"), ("run_2", "Why"), ("run_3", "How")):
        form = {"why": FormField(type="text", label=label)}
        await ask(bench, run, kind="form", form=form)
    one, two, three = await batches(bench)
    assert one == two != three


async def test_a_batch_closes_after_its_time_however_often_others_join(bench: ActivityRig) -> None:
    for run in ("run_1", "run_2", "run_3"):
        await ask(bench, run)
        bench.pass_time(timedelta(seconds=200))
    one, two, three = await batches(bench)
    assert one == two != three


async def test_a_run_that_a_person_started_is_not_joined(bench: ActivityRig) -> None:
    by_hand = {"source": None, "started_by": "person:pat"}
    await ask(bench, "run_8", columns=by_hand)
    await ask(bench, "run_9", columns=by_hand)
    assert await batches(bench) == [None, None]
    assert (await list_batches(bench.rt, principal=ANN)).items == []


async def test_a_decision_for_the_batch_is_one_decision_for_each_approval(
    bench: ActivityRig,
) -> None:
    asked = [await ask(bench, f"run_{number}") for number in (1, 2, 3)]
    batch = str((await batches(bench))[0])
    done = await answer(bench, batch, ANN, *asked, comment="one scanner")
    assert (done.decided, done.refused) == (3, 0)
    assert {item.approval.state for item in done.items if item.approval} == {ApprovalState.APPROVED}
    decisions = await bench.rows(DecisionRow)
    assert {row.approval_id for row in decisions} == {each.approval_id for each in asked}
    assert {(row.person, row.comment) for row in decisions} == {("ann", "one scanner")}
    events = await stored_events(bench.rt, EventKind.APPROVAL_DECIDED)
    assert {(event.subject, event.data["digest"]) for event in events} == {
        (each.approval_id, each.digest) for each in asked
    }
    assert {event.data["batch"] for event in events} == {batch}
    with pytest.raises(NotFound, match="no approval of batch"):
        await get_batch(bench.rt, batch, ANN)


@pytest.mark.attack(
    "let more alerts of the source arrive while a person reads the batch",
    before="there was no batch; an approval of a whole one would cover what joined it meanwhile",
)
async def test_what_joins_after_the_page_was_shown_is_not_decided(bench: ActivityRig) -> None:
    first = await ask(bench, "run_1")
    batch = str((await batches(bench))[0])
    shown = await get_batch(bench.rt, batch, ANN)
    await ask(bench, "run_2")
    await answer(bench, batch, ANN, first)
    assert [item.id for item in shown.items] == [first.approval_id]
    left = await get_batch(bench.rt, batch, ANN)
    assert [item.run_id for item in left.items] == ["run_2"]


@pytest.mark.attack(
    "name an approval of another batch, or another digest, in a decision on a batch",
    before="there was no decision on a batch",
)
async def test_an_approval_that_was_not_shown_so_is_refused(bench: ActivityRig) -> None:
    mine = await ask(bench, "run_1")
    foreign = await ask(bench, "run_2", path="wipe")
    batch = next(row.batch for row in await bench.rows(ApprovalRow) if row.path == "block")
    other = mine.model_copy(update={"digest": "0" * 64})
    done = await answer(bench, str(batch), ANN, foreign, other)
    assert (done.decided, done.refused) == (0, 2)
    reasons = [str(item.reason) for item in done.items]
    assert "is not in batch" in reasons[0]
    assert "the digest does not match" in reasons[1]
    assert await bench.rows(DecisionRow) == []
    assert (await bench.kinds()).count(EventKind.APPROVAL_REFUSED) == 2
    unknown = mine.model_copy(update={"approval_id": "apr_none"})
    done = await answer(bench, str(batch), ANN, unknown, mine)
    assert (done.decided, done.refused) == (1, 1)
    with pytest.raises(Invalid, match="named twice"):
        await answer(bench, str(batch), ANN, mine, mine)
    with pytest.raises(NotFound, match="no approval of batch"):
        await answer(bench, "bat_none", ANN, mine)


async def test_each_approval_keeps_its_own_rules(bench: ActivityRig) -> None:
    asked = [
        await ask(bench, f"run_{number}", by="leads", quorum=2, within=600) for number in (1, 2, 3)
    ]
    batch = str((await batches(bench))[0])
    eve = await answer(bench, batch, EVE, *asked)
    assert (eve.decided, eve.refused) == (0, 3)
    assert "not a member of leads" in str(eve.items[0].reason)
    await decide(bench.rt, None, asked[0].approval_id, BOB, "decline", asked[0].digest)
    half = await answer(bench, batch, ANN, *asked)
    assert [item.result.value for item in half.items] == ["refused", "decided", "decided"]
    assert {row.state for row in await bench.rows(ApprovalRow)} == {"declined", "pending"}
    again = await answer(bench, batch, ANN, *asked[1:])
    assert "has already decided" in str(again.items[0].reason)
    bench.pass_time(timedelta(minutes=10))
    late = await answer(bench, batch, BOB, *asked[1:])
    assert "expired at" in str(late.items[0].reason)


async def test_who_started_one_of_the_runs_approves_only_the_others(bench: ActivityRig) -> None:
    one = await ask(bench, "run_1")
    other = await ask(bench, "run_7", columns={"started_by": "person:ann"})
    batch = str((await batches(bench))[0])
    done = await answer(bench, batch, ANN, one, other)
    assert [item.result.value for item in done.items] == ["decided", "refused"]
    assert "started the run" in str(done.items[1].reason)


async def test_one_form_fills_every_approval_and_is_checked_for_each(bench: ActivityRig) -> None:
    form = {"why": FormField(type="text", label="Why", required=True)}
    asked = [await ask(bench, f"run_{n}", kind="form", form=form) for n in (1, 2)]
    batch = str((await batches(bench))[0])
    bad = await answer(bench, batch, ADA, *asked)
    assert {str(item.reason) for item in bad.items} == {"why: is required (Why)"}
    done = await answer(bench, batch, ADA, *asked, form={"why": "a scan"})
    assert done.decided == 2
    assert [row.form for row in await bench.rows(DecisionRow)] == [{"why": "a scan"}] * 2
