"""Can an approval be taken back exactly as long as its changes are not made?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import update

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.decision_reply import decision_of
from orchestrator.approvals.withdraw import withdraw
from orchestrator.domain.errors import Conflict, Forbidden, NotFound
from orchestrator.store.queries import approvals
from orchestrator.store.tables import RunRow
from tests.harness.approval_rows import ADA, ANN, ANN_AGAIN, BOB, NOW, Desk, desk


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


async def test_an_answer_taken_back_while_pending_counts_no_more_and_may_be_given_anew(
    at: Desk,
) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    done = await withdraw(at.rt, None, "apr_1", ANN_AGAIN, "not so sure")
    assert done["approval"]["answers"][0]["withdrawn_at"] is not None
    assert (await at.decide(BOB))["state"] == "pending"
    again = await at.decide(ANN)
    assert again["state"] == "approved"
    assert [(each["person"], each["withdrawn_at"]) for each in again["answers"]] == [
        ("ann", None),
        ("bob", None),
    ]
    (event,) = await at.events("approval:decision:withdrawn")
    assert (event.actor, event.data["was"], event.data["comment"]) == (
        "person:Ann ",
        "pending",
        "not so sure",
    )


async def test_one_that_is_approved_becomes_withdrawn_and_the_run_still_hears_what_it_would_have_heard(
    at: Desk,
) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    async with at.rt.store.read() as session:
        before = decision_of(await at.row(), await approvals.answers(session, ["apr_1"]))
    at.pass_time(seconds=1)
    assert (await withdraw(at.rt, None, "apr_1", ANN))["approval"]["state"] == "withdrawn"
    async with at.rt.store.read() as session:
        assert decision_of(await at.row(), await approvals.answers(session, ["apr_1"])) == before
        assert await approvals.undelivered(session, 10) == ["apr_1"]


async def test_what_was_begun_is_named_to_be_released_instead(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN)
    await at.made("c1")
    done = await withdraw(at.rt, None, "apr_1", ANN)
    assert (done["approval"]["state"], done["made"], done["note"]) == (
        "withdrawn",
        ["c1"],
        "already made: Tag it; release them instead",
    )


async def test_when_all_is_made_there_is_nothing_to_take_back(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    await at.made("c2", state="verified")
    with pytest.raises(Conflict, match="made already; release them"):
        await withdraw(at.rt, None, "apr_1", ANN)
    assert (await at.row()).state == "approved"
    assert len(await at.events("approval:decision:refused")) == 1


async def test_a_change_that_failed_was_not_made(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    await at.made("c2", state="failed")
    assert (await withdraw(at.rt, None, "apr_1", ANN))["approval"]["state"] == "withdrawn"


async def test_only_one_s_own_approval_can_be_taken_back(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    with pytest.raises(Conflict, match="bob has no approval to take back"):
        await withdraw(at.rt, None, "apr_1", BOB)
    await withdraw(at.rt, None, "apr_1", ANN)
    with pytest.raises(Conflict, match="ann has no approval to take back"):
        await withdraw(at.rt, None, "apr_1", ANN)
    with pytest.raises(NotFound):
        await withdraw(at.rt, None, "apr_x", ANN)
    with pytest.raises(Forbidden):
        await withdraw(at.rt, None, "apr_1", ANN.model_copy(update={"scopes": ()}))


async def test_a_decline_stands(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, "decline")
    with pytest.raises(Conflict, match="no approval to take back"):
        await withdraw(at.rt, None, "apr_1", ANN)


async def test_a_run_that_is_over_is_not_held_back_any_more(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN)
    async with at.rt.store.write() as session:
        await session.execute(update(RunRow).values(ended_at=NOW))
    with pytest.raises(Conflict, match="is over; release"):
        await withdraw(at.rt, None, "apr_1", ANN)


async def test_who_broke_the_glass_may_take_it_back_and_the_review_stays(at: Desk) -> None:
    await at.ask(quorum=2)
    await break_glass(at.rt, None, "apr_1", ADA, "d", "nobody else is awake")
    assert (await withdraw(at.rt, None, "apr_1", ADA))["approval"]["state"] == "withdrawn"
    assert (await at.row()).review == "pending"
