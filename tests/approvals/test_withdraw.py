"""Withdrawals: possible exactly as long as some approved change has not begun."""

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


async def test_a_decision_withdrawn_while_pending_does_not_count_and_can_be_repeated(
    at: Desk,
) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    done = await withdraw(at.rt, None, "apr_1", ANN_AGAIN, "not so sure")
    assert done.approval.decisions[0].withdrawn_at is not None
    assert (await at.decide(BOB)).state == "pending"
    again = await at.decide(ANN)
    assert again.state == "approved"
    assert [(each.person, each.withdrawn_at) for each in again.decisions] == [
        ("ann", None),
        ("bob", None),
    ]
    (event,) = await at.events("approval:decision:withdrawn")
    assert (event.actor, event.data["was"], event.data["comment"]) == (
        "person:Ann ",
        "pending",
        "not so sure",
    )


async def test_a_withdrawn_approval_is_delivered_to_the_run_as_it_was(
    at: Desk,
) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    async with at.rt.store.read() as session:
        before = decision_of(await at.row(), await approvals.list_decisions(session, ["apr_1"]))
    at.pass_time(seconds=1)
    assert (await withdraw(at.rt, None, "apr_1", ANN)).approval.state == "withdrawn"
    async with at.rt.store.read() as session:
        assert (
            decision_of(await at.row(), await approvals.list_decisions(session, ["apr_1"]))
            == before
        )
        assert await approvals.list_undelivered(session, 10) == [("apr_1", "run_1")]


async def test_changes_that_have_begun_are_named(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN)
    await at.begin("c1")
    done = await withdraw(at.rt, None, "apr_1", ANN)
    assert (done.approval.state, done.already_begun, done.note) == (
        "withdrawn",
        ("c1",),
        "already begun: Tag it; release them instead",
    )


async def test_an_approval_cannot_be_withdrawn_after_all_changes_began(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    await at.begin("c2", state="verified")
    with pytest.raises(Conflict, match="have begun; release"):
        await withdraw(at.rt, None, "apr_1", ANN)
    assert (await at.row()).state == "approved"
    assert len(await at.events("approval:decision:refused")) == 1


async def test_a_failed_change_has_not_begun(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, changes=["c2"])
    await at.begin("c2", state="failed")
    assert (await withdraw(at.rt, None, "apr_1", ANN)).approval.state == "withdrawn"


async def test_only_ones_own_approval_can_be_withdrawn(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    with pytest.raises(Conflict, match="bob has no approval to withdraw"):
        await withdraw(at.rt, None, "apr_1", BOB)
    await withdraw(at.rt, None, "apr_1", ANN)
    with pytest.raises(Conflict, match="ann has no approval to withdraw"):
        await withdraw(at.rt, None, "apr_1", ANN)
    with pytest.raises(NotFound):
        await withdraw(at.rt, None, "apr_x", ANN)
    with pytest.raises(Forbidden):
        await withdraw(at.rt, None, "apr_1", ANN.model_copy(update={"scopes": ()}))


async def test_a_decline_cannot_be_withdrawn(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN, "decline")
    with pytest.raises(Conflict, match="no approval to withdraw"):
        await withdraw(at.rt, None, "apr_1", ANN)


async def test_an_approval_cannot_be_withdrawn_after_the_run_ended(at: Desk) -> None:
    await at.ask()
    await at.decide(ANN)
    async with at.rt.store.write() as session:
        await session.execute(update(RunRow).values(ended_at=NOW))
    with pytest.raises(Conflict, match="has ended; release"):
        await withdraw(at.rt, None, "apr_1", ANN)


async def test_break_glass_can_be_withdrawn_and_its_review_stays(at: Desk) -> None:
    await at.ask(quorum=2)
    await break_glass(at.rt, None, "apr_1", ADA, "d", "no one else is awake")
    assert (await withdraw(at.rt, None, "apr_1", ADA)).approval.state == "withdrawn"
    assert (await at.row()).review == "pending"
