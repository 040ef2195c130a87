"""A member of the group that is asked hands an approval over to a group that the policy lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from orchestrator.approvals.batches.decide import ShownApproval, decide_batch
from orchestrator.approvals.batches.views import get_batch
from orchestrator.approvals.decide import decide
from orchestrator.approvals.hand_over import hand_over
from orchestrator.approvals.withdraw import withdraw
from orchestrator.domain.access import Principal, Role
from orchestrator.domain.approval import DecisionType
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.policy import policies
from orchestrator.store.tables import ApprovalRow, RunRow
from tests.harness.approval_rows import ANN, BOB, EVE, Desk, asked_change, desk

NOA = Principal(key_id="k7", person="noa", roles=(Role.APPROVER,), groups=("night",))
LEE = Principal(key_id="k8", person="lee", roles=(Role.APPROVER,), groups=("leads", "night"))
ALLOWED = {"hand_over": {"leads": ["night"]}}


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


async def ask(at: Desk, **columns: Any) -> None:
    await at.ask(**{"by_group": "leads", "changes": [asked_change()]} | columns)


async def over(at: Desk, who: Principal, to: str = "night") -> Any:
    return await hand_over(at.rt, "apr_1", who, to, "the end of our shift")


async def lack(at: Desk) -> str | None:
    """Return why the change may not be applied, where the policy demands the leads."""
    async with at.rt.store.write() as session:
        return await at.lacks(session, by="leads")


async def test_other_group_decides_in_the_place_of_the_first(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    view = await over(at, ANN)
    assert (view.by, view.handed_over_from, view.handed_over_by) == ("night", "leads", "ann")
    assert (view.digest, view.state) == ("d", "pending")
    with pytest.raises(Forbidden, match="bob is not a member of night"):
        await at.decide(BOB)
    assert (await at.decide(NOA)).state == "approved"
    assert await lack(at) is None
    [event] = await at.events("approval:handed_over")
    assert (event.actor, event.subject) == ("person:ann", "apr_1")
    assert (event.data["from"], event.data["to"]) == ("leads", "night")
    assert event.data["reason"] == "the end of our shift"


async def test_only_the_group_that_is_asked_hands_over(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    with pytest.raises(Forbidden, match="eve is not a member of leads"):
        await over(at, EVE)
    await at.ask("apr_2")
    with pytest.raises(Invalid, match="is open to every approver"):
        await hand_over(at.rt, "apr_2", ANN, "night", "the end of our shift")


@pytest.mark.attack(
    "hand an approval to a group of friends that the policy does not list",
    before="no person could hand an approval over",
)
async def test_hand_over_to_a_group_that_the_policy_does_not_list_is_refused(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    with pytest.raises(Forbidden, match="lets leads hand over to night, and not to friends"):
        await over(at, ANN, "friends")
    assert (await at.row()).handed_to is None
    assert len(await at.events("approval:decision:refused")) == 1


async def test_no_one_hands_over_unless_the_policy_says_so(at: Desk) -> None:
    await ask(at)
    with pytest.raises(Forbidden, match="hand over to no group"):
        await over(at, ANN)


@pytest.mark.attack(
    "start a run, and hand its approval to people who approve anything",
    before="no person could hand an approval over",
)
async def test_person_who_started_the_run_does_not_choose_who_decides(at: Desk) -> None:
    await at.policy(separate=False, **ALLOWED)
    await ask(at)
    async with at.rt.store.write() as session:
        run = await session.get(RunRow, "run_1")
        assert run is not None
        run.started_by = "person:ann"
    with pytest.raises(Forbidden, match="ann started the run"):
        await over(at, ANN)


async def test_approval_that_is_handed_over_leaves_its_batch(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at, batch="bat_1")
    await at.ask("apr_2", by_group="leads", batch="bat_1")
    assert (await over(at, ANN)).batch is None
    left = await get_batch(at.rt, "bat_1", BOB)
    assert (left.by, [item.id for item in left.items]) == ("leads", ["apr_2"])
    shown = [ShownApproval(id=each, digest="d") for each in ("apr_1", "apr_2")]
    done = await decide_batch(at.rt, None, "bat_1", BOB, DecisionType.APPROVE, shown)
    assert [item.result for item in done.items] == ["refused", "decided"]
    assert (await at.decide(NOA)).state == "approved"  # the row is authentic without its batch
    [event] = await at.events("approval:handed_over")
    assert event.data["batch"] == "bat_1"


async def test_person_who_handed_over_does_not_approve_in_the_other_group(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    await over(at, LEE)
    with pytest.raises(Forbidden, match="lee handed this approval over"):
        await at.decide(LEE)
    assert (await at.decide(LEE, "decline")).state == "declined"


async def test_approval_is_handed_over_once_and_before_anyone_decides(at: Desk) -> None:
    await at.policy(hand_over={"leads": ["night"], "night": ["friends"]})
    await ask(at, quorum=2)
    await at.decide(BOB)
    with pytest.raises(Conflict, match="withdraw them first"):
        await over(at, ANN)
    await withdraw(at.rt, None, "apr_1", BOB)
    await over(at, ANN)
    with pytest.raises(Conflict, match="was handed over to night before"):
        await over(at, LEE)


@pytest.mark.attack(
    "write a hand-over into the database, and approve in the other group",
    before="no approval carried a hand-over",
)
async def test_hand_over_that_the_trail_does_not_prove_decides_nothing(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at, handed_to="night", handed_by="ann")  # with the true key of rows
    with pytest.raises(Forbidden, match="the audit trail has no event of it"):
        await at.decide(NOA)
    await at.ask("apr_2", by_group="leads")
    async with at.rt.store.engine.begin() as connection:  # and without
        await connection.execute(
            text("UPDATE approvals SET handed_to = 'night', handed_by = 'ann' WHERE id = 'apr_2'")
        )
    with pytest.raises(NotFound):
        await decide(at.rt, None, "apr_2", NOA, DecisionType.APPROVE, "d")


async def test_change_is_not_applied_under_a_hand_over_that_the_policy_no_longer_allows(
    at: Desk,
) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    await over(at, ANN)
    await at.decide(NOA)
    await policies.publish_policy(at.rt, "approvals: {hand_over: {leads: [day]}}", actor="system")
    assert "which the policy does not allow for leads" in str(await lack(at))


async def test_change_is_not_applied_under_a_hand_over_without_its_event(at: Desk) -> None:
    await at.policy(**ALLOWED)
    await ask(at)
    await over(at, ANN)
    await at.decide(NOA)
    async with at.rt.store.write() as session:
        row = await session.get(ApprovalRow, "apr_1")
        assert row is not None
        row.handed_by = "bob"
    assert "the audit trail has no event of it" in str(await lack(at))
