"""Batches of approvals over the API: listed with a count, decided item by item."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from orchestrator.domain.access import Role
from orchestrator.domain.run import RunStatus
from orchestrator.runtime import Runtime
from orchestrator.store.tables import ApprovalRow, RunRow
from tests.api.test_api_contract import NOW
from tests.harness.api_calls import People, is_problem
from tests.harness.approval_rows import CHANGE, asked_change

BATCHES = "/v1/approval-batches"


def question(number: int, batch: str | None, **columns: Any) -> tuple[RunRow, ApprovalRow]:
    """Return a run and its pending approval."""
    run = RunRow(
        id=f"run_{number}",
        playbook="c2",
        version=3,
        plan_digest="p",
        source="edge",
        severity=number,
        status=RunStatus.WAITING,
        started_by="source:edge",
        created_at=NOW,
        dispatched=True,
    )
    given = {
        "id": f"apr_{number}",
        "run_id": run.id,
        "workflow_id": "w",
        "batch": batch,
        "path": "block",
        "kind": "change",
        "question": f"Block {number}?",
        "changes": [asked_change("c1"), asked_change("c2")],
        "digest": f"d{number}",
        "state": "pending",
        "asked_at": NOW + timedelta(seconds=number),
        "expires_at": NOW + timedelta(days=3650),
    }
    return run, ApprovalRow(**given | columns)


@pytest.fixture
async def asked(rt: Runtime) -> Runtime:
    """Ask three questions in one batch, one of which is decided, and one in another."""
    rows = [
        *question(1, "bat_1"),
        *question(2, "bat_1"),
        *question(3, "bat_1", state="declined"),
        *question(4, "bat_2"),
        *question(5, None),
    ]
    async with rt.store.write() as session:
        session.add_all(rows)
    return rt


async def test_batches_are_listed_newest_first_with_their_counts(
    asked: Runtime, admin: httpx.AsyncClient
) -> None:
    page = (await admin.get(BATCHES)).json()
    assert [(each["id"], each["count"]) for each in page["items"]] == [("bat_2", 1), ("bat_1", 2)]
    one = page["items"][1]
    assert (one["question"], one["severity"]) == ("Block 2?", 2)
    assert [item["id"] for item in one["items"]] == ["apr_1", "apr_2"]
    assert one["items"][0]["targets"] == [CHANGE.planned_change["target"]] * 2
    oldest = (await admin.get(BATCHES, params={"sort": "oldest", "limit": 1})).json()
    assert [each["id"] for each in oldest["items"]] == ["bat_1"]
    rest = await admin.get(BATCHES, params={"sort": "oldest", "cursor": oldest["next"]})
    assert [each["id"] for each in rest.json()["items"]] == ["bat_2"]
    severe = await admin.get(BATCHES, params={"severity": 2, "source": "edge"})
    assert [(each["id"], each["count"]) for each in severe.json()["items"]] == [
        ("bat_2", 1),
        ("bat_1", 1),
    ]
    assert (await admin.get(f"{BATCHES}/bat_1")).json() == one
    missing = await admin.get(f"{BATCHES}/bat_9")
    assert is_problem(missing, 404) and "bat_9" in missing.json()["detail"]


async def test_a_batch_is_decided_item_by_item(asked: Runtime, people: People) -> None:
    approver = people[Role.APPROVER]
    waiting = (await approver.get(BATCHES, params={"mine": True})).json()["items"]
    assert [(each["id"], each["count"]) for each in waiting] == [("bat_2", 1), ("bat_1", 2)]
    items = [
        {"id": "apr_1", "digest": "d1"},
        {"id": "apr_2", "digest": "d9"},
        {"id": "apr_3", "digest": "d3"},
        {"id": "apr_4", "digest": "d4"},
    ]
    body = {"decision": "decline", "items": items, "comment": "a scan"}
    done = await approver.post(f"{BATCHES}/bat_1/decide", json=body)
    assert done.status_code == 200
    answer = done.json()
    assert (answer["id"], answer["decided"], answer["refused"]) == ("bat_1", 1, 3)
    assert [(item["id"], item["result"]) for item in answer["items"]] == [
        ("apr_1", "decided"),
        ("apr_2", "refused"),
        ("apr_3", "refused"),
        ("apr_4", "refused"),
    ]
    assert answer["items"][0]["approval"]["state"] == "declined"
    reasons = [str(item["reason"]) for item in answer["items"]]
    assert "the digest does not match" in reasons[1]
    assert "already declined" in reasons[2]
    assert "is not in batch bat_1" in reasons[3]
    left = await approver.get("/v1/approvals", params={"batch": "bat_1", "state": "pending"})
    assert [each["id"] for each in left.json()["items"]] == ["apr_2"]


async def test_a_request_that_does_not_fit_decides_nothing(asked: Runtime, people: People) -> None:
    items = [{"id": "apr_2", "digest": "d2"}]
    body = {"decision": "decline", "items": [*items, *items]}
    twice = await people[Role.APPROVER].post(f"{BATCHES}/bat_1/decide", json=body)
    assert is_problem(twice, 422) and "named twice" in twice.json()["detail"]
    viewer = people[Role.VIEWER]
    refused = await viewer.post(f"{BATCHES}/bat_1/decide", json={**body, "items": items})
    assert is_problem(refused, 403)
    empty = await people[Role.APPROVER].post(
        f"{BATCHES}/bat_1/decide", json={"decision": "approve", "items": []}
    )
    assert is_problem(empty, 422)
    assert is_problem(
        await people[Role.APPROVER].post(
            f"{BATCHES}/bat_9/decide", json={"decision": "approve", "items": items}
        ),
        404,
    )
