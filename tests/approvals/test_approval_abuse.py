"""Does an approval hold against replay, other runs' digests, clocks that go backwards and people at the same instant?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.coverage import lack_of_agreement
from orchestrator.approvals.decide import decide
from orchestrator.approvals.withdraw import withdraw
from orchestrator.contracts.messages import ActionCall, ApplyRequest, RunContext, StepRef
from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.errors import Conflict
from orchestrator.domain.run import Mode
from orchestrator.store.tables import AnswerRow
from tests.harness.approval_rows import ADA, ANN, ANN_AGAIN, BOB, EVE, NOW, Desk, desk
from tests.harness.databases import NewDatabase, postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[NewDatabase]:
    with postgresql() as make:
        yield make


@pytest.fixture(params=["sqlite", "postgresql"])
async def at(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    url = None if request.param == "sqlite" else str(request.getfixturevalue("server")())
    async with desk(tmp_path, url) as made:
        yield made


async def test_a_decision_sent_again_counts_once_under_whatever_key(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    for who in (ANN, ANN_AGAIN):
        with pytest.raises(Conflict, match="has answered already"):
            await at.decide(who)
    await at.decide(BOB)
    with pytest.raises(Conflict):
        await at.decide(BOB)
    assert len(await at.rows(AnswerRow)) == 2
    assert len(await at.events("approval:decision:refused")) == 3


async def test_the_digest_of_another_question_decides_nothing(at: Desk) -> None:
    await at.ask()
    await at.ask("apr_2", digest="of another")
    with pytest.raises(Conflict, match="digest is not that"):
        await at.decide(ANN, digest="of another")
    with pytest.raises(Conflict, match="digest is not that"):
        await break_glass(at.rt, None, "apr_1", ADA, "of another", "nobody else is awake")
    assert (await at.row()).state == (await at.row("apr_2")).state == "pending"


async def test_of_many_at_the_same_instant_as_many_count_as_are_asked_for(at: Desk) -> None:
    await at.ask(quorum=2)
    people = [ANN, ANN_AGAIN, BOB, EVE]
    said = await asyncio.gather(*(at.decide(who) for who in people), return_exceptions=True)
    assert [type(each) for each in said].count(Conflict) == 2, said
    answers = await at.rows(AnswerRow)
    assert len({answer.person.strip().casefold() for answer in answers}) == len(answers) == 2
    assert (await at.row()).state == "approved"


async def test_a_yes_and_a_no_at_the_same_instant_come_to_one_of_the_two(at: Desk) -> None:
    await at.ask()
    said = await asyncio.gather(at.decide(ANN), at.decide(BOB, "decline"), return_exceptions=True)
    assert [type(each) for each in said].count(Conflict) == 1
    (answer,) = await at.rows(AnswerRow)
    assert (await at.row()).state == {"approve": "approved", "decline": "declined"}[answer.decision]


async def test_a_withdrawal_and_the_last_yes_at_the_same_instant_never_leave_a_yes_that_was_taken_back(
    at: Desk,
) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    await asyncio.gather(
        at.decide(BOB), withdraw(at.rt, None, "apr_1", ANN), return_exceptions=True
    )
    assert (await at.row()).state in {"pending", "withdrawn"}  # either way ann's word is not used


async def test_after_a_yes_a_no_comes_too_late_and_so_does_every_answer_after_the_end(
    at: Desk,
) -> None:
    await at.ask()
    await at.decide(ANN)
    with pytest.raises(Conflict, match="is approved already"):
        await at.decide(BOB, "decline")
    await at.ask("apr_2")
    at.pass_time(minutes=15)
    with pytest.raises(Conflict, match="could be answered until"):
        await decide(at.rt, None, "apr_2", ANN, "approve", "d")


async def test_a_clock_that_goes_backwards_gives_no_question_a_longer_life(at: Desk) -> None:
    await at.ask(asked_at=NOW, expires_at=NOW + timedelta(minutes=15), quorum=3)
    at.pass_time(minutes=14)
    await at.decide(ANN)
    at.pass_time(hours=-3)
    done = await at.decide(BOB)
    first, second = done["answers"]
    assert (
        first["at"] == second["at"] == (NOW + timedelta(minutes=14)).isoformat()
    )  # in the order in which they came


async def test_what_was_seen_to_be_late_stays_late_when_the_clock_goes_back(at: Desk) -> None:
    await at.ask(asked_at=NOW, expires_at=NOW)
    at.pass_time(days=-1)
    with pytest.raises(Conflict, match="could be answered until"):
        await at.decide(ANN)


async def test_a_withdrawal_waits_for_an_apply_that_has_looked_at_the_approval_already(
    at: Desk,
) -> None:
    target = {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag it",
    }
    names: dict[str, Any] = {
        "connection": "firewall",
        "action": "block_address",
        "effect": "contain",
        "input": {"address": "198.51.100.7"},
    }
    change = Change(connector="palo_alto", planned_change=target, **names)
    await at.ask(changes=[{**change.model_dump(mode="json"), "digest": change.digest}])
    await at.decide(ANN)
    run = RunContext(
        run_id="run_1",
        attempt=1,
        playbook="c2",
        version=3,
        plan_digest="p",
        mode=Mode.LIVE,
        source=None,
        severity=4,
        started_by="system",
    )
    call = ActionCall(ref=StepRef(run=run, path="block", seq=1), capability="firewall", **names)
    request = ApplyRequest(call=call, change=change, approval_id="apr_1")
    judged = PolicyVerdict(
        outcome=Verdict.ASK, reasons=("said the test",), policy_version=1, policy_digest="p"
    )
    async with at.rt.store.write() as session:
        assert await lack_of_agreement(session, request, judged) is None
        taking_back = asyncio.create_task(withdraw(at.rt, None, "apr_1", ANN))
        await asyncio.wait({taking_back}, timeout=0.2)  # it would be through by then
        session.add(at.effect(change.digest))
    with pytest.raises(Conflict, match="made already"):
        await taking_back
