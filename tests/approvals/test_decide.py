"""Decisions: who may decide, on what, until when; each rejection is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator.approvals.decide import decide
from orchestrator.approvals.views import get_approval, list_approvals
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.approval import ApprovalState
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.domain.run import RunStatus
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings
from orchestrator.store.search.filters import ApprovalFilter
from orchestrator.store.tables import ApprovalRow, AuditEventRow, DecisionRow, RunRow
from tests.harness.databases import migrate_quickly

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ANN = Principal(key_id="k1", person="ann", roles=(Role.APPROVER,), groups=("leads",))
ANN_AGAIN = Principal(key_id="k9", person="ann", roles=(Role.ADMIN,), groups=("leads",))
BOB = Principal(key_id="k2", person="bob", roles=(Role.APPROVER,), groups=("leads",))
EVE = Principal(key_id="k3", person="eve", roles=(Role.APPROVER,))
VIEWER = Principal(key_id="k4", person="vic", roles=(Role.VIEWER,), groups=("leads",))
SCOPED = Principal(
    key_id="k5", person="sam", roles=(Role.ADMIN,), groups=("leads",), scopes=(Permission.READ,)
)
CHANGE = {
    "connection": "firewall",
    "connector": "palo_alto",
    "action": "block_address",
    "effect": "contain",
    "input": {"address": "198.51.100.7", "token": "s3cret"},
    "planned_change": {
        "target": {"type": "address", "value": "198.51.100.7"},
        "changed": True,
        "summary": "Tag it",
    },
}
FORM = {
    "why": {"type": "text", "label": "Why", "required": True, "choices": []},
    "count": {"type": "integer", "label": "How many", "required": False, "choices": []},
    "level": {"type": "choice", "label": "Level", "required": False, "choices": ["low", "high"]},
    "sure": {"type": "boolean", "label": "Sure", "required": False, "choices": []},
}


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = open_runtime(Settings.load(data_dir=tmp_path / "data"), clock=lambda: NOW)
    await migrate_quickly(runtime)
    async with runtime.store.write() as session:
        session.add(
            RunRow(
                id="run_1",
                playbook="c2",
                version=3,
                plan_digest="p",
                status=RunStatus.WAITING,
                started_by="system",
                created_at=NOW,
                dispatched=True,
            )
        )
    yield runtime
    await runtime.close()


async def ask(rt: Runtime, **columns: Any) -> str:
    given = {
        "id": "apr_1",
        "kind": "change",
        "question": "Block?",
        "digest": "d",
        "state": "pending",
        "path": "block",
        "workflow_id": "w",
    }
    times = {"asked_at": NOW, "expires_at": NOW + timedelta(minutes=15)}
    changes = [{**CHANGE, "digest": "c1"}, {**CHANGE, "digest": "c2"}]
    async with rt.store.write() as session:
        session.add(
            ApprovalRow(run_id="run_1", **{"changes": changes, **given, **times, **columns})
        )
    return "apr_1"


async def trail(rt: Runtime) -> list[AuditEventRow]:
    async with rt.store.read() as session:
        return list(await session.scalars(select(AuditEventRow).order_by(AuditEventRow.number)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "columns", "digest", "more", "error", "message"),
    [
        (VIEWER, {}, "d", {}, Forbidden, "lacks permission approval:decide"),
        (SCOPED, {}, "d", {}, Forbidden, "lacks permission approval:decide"),
        (EVE, {"by_group": "leads"}, "d", {}, Forbidden, "not a member of leads"),
        (ANN, {}, "other", {}, Conflict, "the digest does not match"),
        (ANN, {}, "", {}, Conflict, "the digest does not match"),
        (ANN, {"expires_at": NOW}, "d", {}, Conflict, "expired at"),
        (ANN, {"state": "approved"}, "d", {}, Conflict, "is already approved"),
        (ANN, {"state": "expired"}, "d", {}, Conflict, "is already expired"),
        (ANN, {"state": "withdrawn"}, "d", {}, Conflict, "is already withdrawn"),
        (ANN, {}, "d", {"changes": ["c3"]}, Invalid, "has no change"),
        (ANN, {}, "d", {"changes": []}, Invalid, "decline instead"),
        (ANN, {}, "d", {"form": {}}, Invalid, "leave `form` out"),
        (ANN, {}, "d", {"comment": "x" * 5000}, Invalid, "at most 4000"),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"changes": ["c1"]},
            Invalid,
            "leave `changes` out",
        ),
        (ANN, {"kind": "form", "form": FORM}, "d", {}, Invalid, "why: is required"),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"form": {"why": " "}},
            Invalid,
            "why: give a text",
        ),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"form": {"why": "x", "count": True}},
            Invalid,
            "count: give a whole number",
        ),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"form": {"why": "x", "level": "mid"}},
            Invalid,
            "low, high",
        ),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"form": {"why": "x", "sure": 1}},
            Invalid,
            "sure: give true or false",
        ),
        (
            ANN,
            {"kind": "form", "form": FORM},
            "d",
            {"form": {"why": "x", "more": 1}},
            Invalid,
            "more: unknown field",
        ),
    ],
)
async def test_a_rejected_decision_is_recorded_with_its_reason_only(
    rt: Runtime,
    who: Principal,
    columns: dict[str, Any],
    digest: str,
    more: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    id_ = await ask(rt, **columns)
    with pytest.raises(error, match=message) as caught:
        await decide(rt, None, id_, who, "approve", digest, **more)
    (event,) = await trail(rt)
    assert (event.kind, event.actor, event.subject) == (
        "approval:decision:refused",
        f"person:{who.person}",
        id_,
    )
    assert event.data["reason"] == str(caught.value)
    after = await get_approval(rt, id_)
    assert (after.state, after.decisions) == (columns.get("state", "pending"), ())


async def test_an_unknown_approval_is_rejected_and_recorded(rt: Runtime) -> None:
    with pytest.raises(NotFound):
        await decide(rt, None, "apr_x", ANN, "approve", "d")
    assert [event.kind for event in await trail(rt)] == ["approval:decision:refused"]


async def test_one_person_decides_once_with_any_key(rt: Runtime) -> None:
    id_ = await ask(rt, quorum=2)
    assert (await decide(rt, None, id_, ANN, "approve", "d")).state == "pending"
    with pytest.raises(Conflict, match="ann has already decided"):
        await decide(rt, None, id_, ANN_AGAIN, "approve", "d")
    assert (await decide(rt, None, id_, BOB, "approve", "d")).state == "approved"


async def test_one_decline_ends_the_approval_at_any_quorum(rt: Runtime) -> None:
    id_ = await ask(rt, quorum=3)
    await decide(rt, None, id_, ANN, "approve", "d")
    assert (await decide(rt, None, id_, BOB, "decline", "d", "not now")).state == "declined"
    with pytest.raises(Conflict, match="is already declined"):
        await decide(rt, None, id_, EVE, "approve", "d")


async def test_each_decision_stores_its_choice(rt: Runtime) -> None:
    id_ = await ask(rt, quorum=2)
    await decide(rt, None, id_, ANN, "approve", "d", changes=["c1", "c2"])
    await decide(rt, None, id_, BOB, "approve", "d", changes=["c2"])
    async with rt.store.read() as session:
        decisions = list(await session.scalars(select(DecisionRow)))
    assert {each.person: each.form for each in decisions} == {
        "ann": {"changes": ["c1", "c2"]},
        "bob": {"changes": ["c2"]},
    }


async def test_a_filled_form_is_stored_with_null_for_omitted_fields(rt: Runtime) -> None:
    id_ = await ask(rt, kind="form", form=FORM)
    done = await decide(rt, None, id_, ANN, "approve", "d", form={"why": "x", "level": "low"})
    assert done.decisions[0].form == {"why": "x", "count": None, "level": "low", "sure": None}


async def test_a_decision_holds_while_temporal_is_down(rt: Runtime) -> None:
    id_ = await ask(rt)
    assert (await decide(rt, None, id_, ANN, "approve", "d")).state == "approved"
    async with rt.store.read() as session:
        row = await session.get(ApprovalRow, id_)
    assert row is not None
    assert not row.delivered


async def test_the_list_shows_planned_changes_without_secrets_in_pages(rt: Runtime) -> None:
    await ask(rt)
    await ask(rt, id="apr_2", asked_at=NOW + timedelta(seconds=1))
    await ask(rt, id="apr_3", state="expired")
    first = await list_approvals(rt, ApprovalFilter(state=(ApprovalState.PENDING,)), limit=1)
    second = await list_approvals(
        rt, ApprovalFilter(state=(ApprovalState.PENDING,)), limit=1, cursor=first.next
    )
    assert [item.id for item in first.items + second.items] == ["apr_1", "apr_2"]
    planned_change = first.items[0].planned_changes[0]
    assert (planned_change.target, planned_change.summary, planned_change.digest) == (
        {"type": "address", "value": "198.51.100.7"},
        "Tag it",
        "c1",
    )
    assert "s3cret" not in str(first)
    assert (
        await list_approvals(rt, ApprovalFilter(state=(ApprovalState.PENDING,)), cursor=second.next)
    ).items == []


@pytest.mark.parametrize(
    ("cursor", "limit"), [("x", 50), ("////", 50), ("é", 50), (None, 0), (None, 201)]
)
async def test_a_bad_cursor_or_limit_is_rejected(
    rt: Runtime, cursor: str | None, limit: int
) -> None:
    with pytest.raises(Invalid):
        await list_approvals(rt, cursor=cursor, limit=limit)
