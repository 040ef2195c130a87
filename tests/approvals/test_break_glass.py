"""Can an admin decide alone, never in silence, and does it stay open until somebody else has looked at it?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.decide import list_approvals
from orchestrator.approvals.decision_reply import agreed
from orchestrator.approvals.review import review
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.store.queries import approvals
from orchestrator.store.tables import RunRow, TaskRow
from tests.harness.approval_rows import ADA, ANN, BOB, EVE, NOW, Desk, desk

REASON = "the leads are on a plane"
PAT = Principal(key_id="k7", person="pat", roles=(Role.ADMIN,))
SCOPED = Principal(
    key_id="k8", person="sam", roles=(Role.ADMIN,), scopes=(Permission.APPROVAL_DECIDE,)
)


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


async def broken(at: Desk, who: Principal = ADA, **more: Any) -> dict[str, Any]:
    return await break_glass(at.rt, None, "apr_1", who, **{"digest": "d", "reason": REASON} | more)


async def test_it_passes_the_quorum_the_group_and_the_separation_and_is_told(at: Desk) -> None:
    await at.ask(quorum=3, by_group="leads")
    done = await broken(at, PAT)  # who published the playbook
    assert (done["state"], done["glass"]["broken_by"], done["glass"]["reason"], done["glass"]["review"]) == (
        "approved", "pat", REASON, "pending",
    )  # fmt: skip
    (event,) = await at.events("approval:break_glass:used")
    assert (event.actor, event.data["reason"], event.data["quorum"], event.data["by_group"]) == (
        "person:pat",
        REASON,
        3,
        "leads",
    )
    (task,) = await at.rows(TaskRow)
    assert (task.kind, task.subject, task.state) == ("break_glass", "apr_1", "open")
    assert REASON in task.summary


async def test_its_breaker_s_choice_counts_and_no_earlier_one(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN, changes=["c1"])
    await broken(at, changes=["c2"])
    async with at.rt.store.read() as session:
        assert agreed(await at.row(), await approvals.answers(session, ["apr_1"])) == ("c2",)


@pytest.mark.parametrize(
    ("who", "columns", "more", "error", "said"),
    [
        (ANN, {}, {}, Forbidden, "approval:break_glass"),
        (SCOPED, {}, {}, Forbidden, "approval:break_glass"),
        (ADA, {}, {"reason": "  too bad  "}, Invalid, "at least 10"),
        (ADA, {}, {"reason": "x" * 5000}, Invalid, "at most 4000"),
        (ADA, {}, {"digest": "other"}, Conflict, "digest is not that"),
        (ADA, {}, {"changes": ["c3"]}, Invalid, "none of the changes"),
        (ADA, {"state": "declined"}, {}, Conflict, "is declined already"),
        (ADA, {"state": "withdrawn"}, {}, Conflict, "is withdrawn already"),
        (ADA, {"expires_at": NOW}, {}, Conflict, "could be answered until"),
        (ADA, {"kind": "form", "form": {}}, {}, Invalid, "form"),
    ],
)
async def test_a_glass_that_stays_whole_leaves_the_reason_in_the_trail(
    at: Desk,
    who: Principal,
    columns: dict[str, Any],
    more: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    await at.ask(**columns)
    with pytest.raises(error, match=said):
        await broken(at, who, **more)
    (event,) = await at.events("approval:decision:refused")
    assert event.data["wanted"] == "break_glass"
    assert (await at.row()).glass_broken_by is None
    assert await at.rows(TaskRow) == []


async def test_the_policy_can_take_the_glass_away(at: Desk) -> None:
    await at.policy(break_glass=False)
    await at.ask()
    with pytest.raises(Forbidden, match="break_glass: false"):
        await broken(at)


async def test_an_unknown_approval_is_refused(at: Desk) -> None:
    with pytest.raises(NotFound):
        await break_glass(at.rt, None, "apr_x", ADA, "d", REASON)


@pytest.mark.parametrize("verdict", ["accepted", "objected"])
async def test_somebody_else_s_review_closes_the_matter(at: Desk, verdict: Any) -> None:
    await at.ask()
    await broken(at)
    assert [item["id"] for item in (await list_approvals(at.rt, review="pending"))["items"]] == [
        "apr_1"
    ]
    done = await review(at.rt, "apr_1", EVE, verdict, "seen")
    assert (done["state"], done["glass"]["review"], done["glass"]["reviewed_by"]) == (
        "approved",
        verdict,
        "eve",
    )
    assert (await list_approvals(at.rt, review="pending"))["items"] == []
    (task,) = await at.rows(TaskRow)
    assert (task.state, task.closed_by) == ("closed", "person:eve")
    assert [
        event.data["verdict"] for event in await at.events("approval:break_glass:reviewed")
    ] == [verdict]
    with pytest.raises(Conflict, match=f"eve {verdict} already"):
        await review(at.rt, "apr_1", BOB, "accepted")


async def test_neither_who_broke_it_nor_who_started_the_run_reviews_it(at: Desk) -> None:
    async with at.rt.store.write() as session:
        await session.execute(update(RunRow).values(started_by="person:bob"))
    await at.ask(by_group="leads")
    await broken(at)
    for who, said in (
        (ADA.model_copy(update={"person": "ADA ", "key_id": "k10"}), "broke the glass"),
        (BOB, "started the run"),
        (EVE, "not in leads"),
        (EVE.model_copy(update={"roles": (Role.VIEWER,)}), "may not decide"),
    ):
        with pytest.raises(Forbidden, match=said):
            await review(at.rt, "apr_1", who, "accepted")
    assert (await at.row()).review == "pending"
    assert len(await at.events("approval:decision:refused")) == 4


async def test_what_was_decided_by_many_has_nothing_to_review(at: Desk) -> None:
    await at.ask(expires_at=NOW + timedelta(hours=1))
    await at.decide(ANN)
    with pytest.raises(Conflict, match="nothing to review"):
        await review(at.rt, "apr_1", BOB, "accepted")
