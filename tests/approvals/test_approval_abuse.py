"""Abuse of approvals: replayed decisions, foreign digests, a clock that runs backwards, races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.decide import decide
from orchestrator.approvals.withdraw import withdraw
from orchestrator.domain.errors import Conflict
from orchestrator.store.tables import DecisionRow
from tests.harness.approval_rows import (
    ADA,
    ANN,
    ANN_AGAIN,
    BOB,
    CHANGE,
    EVE,
    NOW,
    Desk,
    asked_change,
    desk,
)
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


async def test_a_repeated_decision_counts_once_with_any_key(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    for who in (ANN, ANN_AGAIN):
        with pytest.raises(Conflict, match="has already decided"):
            await at.decide(who)
    await at.decide(BOB)
    with pytest.raises(Conflict):
        await at.decide(BOB)
    assert len(await at.rows(DecisionRow)) == 2
    assert len(await at.events("approval:decision:refused")) == 3


async def test_the_digest_of_another_approval_decides_nothing(at: Desk) -> None:
    await at.ask()
    await at.ask("apr_2", digest="of another")
    with pytest.raises(Conflict, match="digest does not match"):
        await at.decide(ANN, digest="of another")
    with pytest.raises(Conflict, match="digest does not match"):
        await break_glass(at.rt, None, "apr_1", ADA, "of another", "no one else is awake")
    assert (await at.row()).state == (await at.row("apr_2")).state == "pending"


async def test_of_concurrent_decisions_the_quorum_counts(at: Desk) -> None:
    await at.ask(quorum=2)
    people = [ANN, ANN_AGAIN, BOB, EVE]
    results = await asyncio.gather(*(at.decide(who) for who in people), return_exceptions=True)
    assert [type(each) for each in results].count(Conflict) == 2, results
    decisions = await at.rows(DecisionRow)
    assert len({each.person.strip().casefold() for each in decisions}) == len(decisions) == 2
    assert (await at.row()).state == "approved"


async def test_of_a_concurrent_approval_and_decline_one_counts(at: Desk) -> None:
    await at.ask()
    results = await asyncio.gather(
        at.decide(ANN), at.decide(BOB, "decline"), return_exceptions=True
    )
    assert [type(each) for each in results].count(Conflict) == 1
    (decision,) = await at.rows(DecisionRow)
    assert (await at.row()).state == {"approve": "approved", "decline": "declined"}[
        decision.decision
    ]


async def test_a_concurrent_withdrawal_and_last_approval_never_use_the_withdrawn_one(
    at: Desk,
) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN)
    await asyncio.gather(
        at.decide(BOB), withdraw(at.rt, None, "apr_1", ANN), return_exceptions=True
    )
    assert (await at.row()).state in {"pending", "withdrawn"}  # ann's approval is not used


async def test_a_decision_after_the_approval_or_its_expiry_is_rejected(
    at: Desk,
) -> None:
    await at.ask()
    await at.decide(ANN)
    with pytest.raises(Conflict, match="is already approved"):
        await at.decide(BOB, "decline")
    await at.ask("apr_2")
    at.pass_time(minutes=15)
    with pytest.raises(Conflict, match="expired at"):
        await decide(at.rt, None, "apr_2", ANN, "approve", "d")


async def test_a_clock_that_runs_backwards_extends_no_approval(at: Desk) -> None:
    await at.ask(asked_at=NOW, expires_at=NOW + timedelta(minutes=15), quorum=3)
    at.pass_time(minutes=14)
    await at.decide(ANN)
    at.pass_time(hours=-3)
    done = await at.decide(BOB)
    first, second = done.decisions
    assert first.decided_at == second.decided_at == NOW + timedelta(minutes=14)


async def test_an_expired_approval_stays_expired_when_the_clock_runs_backwards(at: Desk) -> None:
    await at.ask(asked_at=NOW, expires_at=NOW)
    at.pass_time(days=-1)
    with pytest.raises(Conflict, match="expired at"):
        await at.decide(ANN)


async def test_a_withdrawal_waits_for_an_apply_that_holds_the_approval(
    at: Desk,
) -> None:
    await at.ask(changes=[asked_change()])
    await at.decide(ANN)
    async with at.rt.store.write() as session:
        assert await at.lacks(session) is None
        withdrawal = asyncio.create_task(withdraw(at.rt, None, "apr_1", ANN))
        await asyncio.wait({withdrawal}, timeout=0.2)  # enough for it to finish, if it did not wait
        session.add(at.effect(CHANGE.digest))
    with pytest.raises(Conflict, match="have begun"):
        await withdrawal
