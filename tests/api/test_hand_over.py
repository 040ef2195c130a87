"""Hand-overs over the API: a member of the asked group lets another group decide."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from orchestrator.domain.access import Role
from orchestrator.policy import policies
from orchestrator.runtime import Runtime
from tests.api.test_approval_batches import question
from tests.harness.api_calls import People, is_problem
from tests.harness.people import add_key

PATH = "/v1/approvals/apr_1/hand-over"
BODY = {"to": "night", "reason": "the end of our shift"}


@pytest.fixture
async def asked(rt: Runtime, people: People) -> httpx.AsyncClient:
    """Ask the leads, and return the client of one of them, who is an approver."""
    policy = "approvals: {hand_over: {leads: [night]}}"
    await policies.publish_policy(rt, policy, actor="system")
    approver = people[Role.APPROVER]
    _, token = await add_key(rt, "lee", (Role.APPROVER,), groups=("leads",))
    approver.headers["authorization"] = f"Bearer {token.get_secret_value()}"
    async with rt.store.write() as session:
        session.add_all(question(1, "bat_1", by_group="leads"))
    return approver


async def test_a_member_hands_an_approval_over(asked: httpx.AsyncClient) -> None:
    done = await asked.post(PATH, json=BODY)
    assert done.status_code == 200
    approval = done.json()
    assert (approval["by"], approval["handed_over_from"]) == ("night", "leads")
    assert (approval["handed_over_by"], approval["mine"]) == ("lee", False)
    assert (approval["batch"], approval["digest"]) == (None, "d1")
    assert (await asked.get("/v1/approvals/apr_1")).json() == approval
    assert is_problem(await asked.post(PATH, json=BODY), 409)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**BODY, "to": "friends"}, 403),
        ({"to": "night"}, 422),
        ({**BODY, "reason": ""}, 422),
        ({**BODY, "quorum": 1}, 422),
    ],
)
async def test_a_hand_over_that_does_not_fit_changes_nothing(
    asked: httpx.AsyncClient, body: dict[str, Any], status: int
) -> None:
    assert is_problem(await asked.post(PATH, json=body), status)
    assert (await asked.get("/v1/approvals/apr_1")).json()["by"] == "leads"


async def test_other_people_hand_nothing_over(asked: httpx.AsyncClient, people: People) -> None:
    assert is_problem(await people[Role.ADMIN].post(PATH, json=BODY), 403)
    assert is_problem(await people[Role.VIEWER].post(PATH, json=BODY), 403)
    unknown = await asked.post("/v1/approvals/apr_9/hand-over", json=BODY)
    assert is_problem(unknown, 404)
