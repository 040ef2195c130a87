"""Break-glass: an admin approves alone, on record, and another person reviews it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.decision_reply import approved_changes
from orchestrator.approvals.review import review
from orchestrator.approvals.views import list_approvals
from orchestrator.briefing.approval import ApprovalView
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.approval import ReviewState
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.store.queries import approvals
from orchestrator.store.search.filters import ApprovalFilter
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


async def approve_alone(at: Desk, who: Principal = ADA, **more: Any) -> ApprovalView:
    return await break_glass(at.rt, None, "apr_1", who, **{"digest": "d", "reason": REASON} | more)


async def test_it_overrides_quorum_group_and_separation_and_is_recorded(at: Desk) -> None:
    await at.ask(quorum=3, by_group="leads")
    done = await approve_alone(at, PAT)  # published the playbook
    assert done.state == "approved"
    assert done.break_glass is not None
    view = done.break_glass
    assert (view.by, view.reason, view.review) == ("pat", REASON, "pending")
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


async def test_the_admins_choice_counts_and_no_earlier_one(at: Desk) -> None:
    await at.ask(quorum=2)
    await at.decide(ANN, changes=["c1"])
    await approve_alone(at, changes=["c2"])
    async with at.rt.store.read() as session:
        decisions = await approvals.list_decisions(session, ["apr_1"])
        assert approved_changes(await at.row(), decisions) == ("c2",)


@pytest.mark.parametrize(
    ("who", "columns", "more", "error", "message"),
    [
        (ANN, {}, {}, Forbidden, "approval:break_glass"),
        (SCOPED, {}, {}, Forbidden, "approval:break_glass"),
        (ADA, {}, {"reason": "  too bad  "}, Invalid, "at least 10"),
        (ADA, {}, {"reason": "x" * 5000}, Invalid, "at most 4000"),
        (ADA, {}, {"digest": "other"}, Conflict, "digest does not match"),
        (ADA, {}, {"changes": ["c3"]}, Invalid, "has no change"),
        (ADA, {"state": "declined"}, {}, Conflict, "is already declined"),
        (ADA, {"state": "withdrawn"}, {}, Conflict, "is already withdrawn"),
        (ADA, {"expires_at": NOW}, {}, Conflict, "expired at"),
        (ADA, {"kind": "form", "form": {}}, {}, Invalid, "form"),
    ],
)
async def test_a_rejected_break_glass_is_recorded_with_its_reason(
    at: Desk,
    who: Principal,
    columns: dict[str, Any],
    more: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    await at.ask(**columns)
    with pytest.raises(error, match=message):
        await approve_alone(at, who, **more)
    (event,) = await at.events("approval:decision:refused")
    assert event.data["wanted"] == "break_glass"
    assert (await at.row()).break_glass_by is None
    assert await at.rows(TaskRow) == []


async def test_the_policy_can_forbid_break_glass(at: Desk) -> None:
    await at.policy(break_glass=False)
    await at.ask()
    with pytest.raises(Forbidden, match="break_glass: false"):
        await approve_alone(at)


async def test_an_unknown_approval_is_rejected(at: Desk) -> None:
    with pytest.raises(NotFound):
        await break_glass(at.rt, None, "apr_x", ADA, "d", REASON)


@pytest.mark.parametrize("verdict", ["accepted", "objected"])
async def test_the_review_of_another_person_closes_the_task(at: Desk, verdict: Any) -> None:
    await at.ask()
    await approve_alone(at)
    pending = await list_approvals(at.rt, ApprovalFilter(review=ReviewState.PENDING))
    assert [item.id for item in pending.items] == ["apr_1"]
    done = await review(at.rt, "apr_1", EVE, verdict, "seen")
    assert done.break_glass is not None
    assert (done.state, done.break_glass.review, done.break_glass.reviewed_by) == (
        "approved",
        verdict,
        "eve",
    )
    assert (await list_approvals(at.rt, ApprovalFilter(review=ReviewState.PENDING))).items == []
    (task,) = await at.rows(TaskRow)
    assert (task.state, task.closed_by) == ("closed", "person:eve")
    assert [
        event.data["verdict"] for event in await at.events("approval:break_glass:reviewed")
    ] == [verdict]
    with pytest.raises(Conflict, match=f"eve already {verdict} it"):
        await review(at.rt, "apr_1", BOB, "accepted")


async def test_neither_the_admin_nor_who_started_the_run_can_review(at: Desk) -> None:
    async with at.rt.store.write() as session:
        await session.execute(update(RunRow).values(started_by="person:bob"))
    await at.ask(by_group="leads")
    await approve_alone(at)
    for who, message in (
        (ADA.model_copy(update={"person": "ADA ", "key_id": "k10"}), "used break-glass"),
        (BOB, "started the run"),
        (EVE, "not a member of leads"),
        (EVE.model_copy(update={"roles": (Role.VIEWER,)}), "lacks permission approval:decide"),
    ):
        with pytest.raises(Forbidden, match=message):
            await review(at.rt, "apr_1", who, "accepted")
    assert (await at.row()).review == "pending"
    assert len(await at.events("approval:decision:refused")) == 4


async def test_an_ordinary_approval_has_nothing_to_review(at: Desk) -> None:
    await at.ask(expires_at=NOW + timedelta(hours=1))
    await at.decide(ANN)
    with pytest.raises(Conflict, match="nothing to review"):
        await review(at.rt, "apr_1", BOB, "accepted")
