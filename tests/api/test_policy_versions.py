"""Earlier policies: listed, shown, compared, and put in force again as a new version."""

from __future__ import annotations

import httpx
import pytest

from orchestrator.domain.access import Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.runtime import Runtime
from tests.api.test_api_contract import every
from tests.harness.api_calls import People, events, is_problem

STRICT = "protect:\n  networks: [10.0.0.0/24]\nrules:\n  - {name: vips, tags: vip, deny: never}\n"
LOOSE = "rules:\n  - {tags: vip, approve: {by: leads}}\n"


@pytest.fixture
async def published(admin: httpx.AsyncClient) -> httpx.AsyncClient:
    """Publish a strict policy as version 2, and a loose one as version 3."""
    for text in (STRICT, LOOSE):
        done = await admin.put("/v1/policy", json={"text": text}, headers={"if-match": "*"})
        assert done.status_code == 200, done.text
    return admin


async def test_every_policy_is_listed_and_shown_as_it_was_published(
    published: httpx.AsyncClient,
) -> None:
    found = await every(published, "/v1/policy/versions", 1)
    assert [(each["version"], each["in_force"]) for each in found] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert [
        each["version"] for each in await every(published, "/v1/policy/versions", 2, sort="oldest")
    ] == [1, 2, 3]
    of_person = await every(published, "/v1/policy/versions", 5, person="admin-person")
    assert [each["version"] for each in of_person] == [3, 2]
    earlier = (await published.get("/v1/policy/versions/2")).json()
    assert (earlier["source"], earlier["published_by"]) == (STRICT, "person:admin-person")
    assert (
        "`tocsin policy history`"
        in is_problem(await published.get("/v1/policy/versions/9"), 404)["detail"]
    )


async def test_difference_names_the_lines_and_what_is_protected_no_longer(
    people: People, published: httpx.AsyncClient
) -> None:
    viewer = people[Role.VIEWER]
    found = (
        await viewer.post("/v1/policy/diff", json={"a": {"version": 2}, "b": {"version": 3}})
    ).json()
    assert (found["a"], found["b"], found["same"]) == ("2", "3", False)
    assert "-  networks: [10.0.0.0/24]" in found["diff"].splitlines()
    assert found["diff"].startswith("--- policy version 2\n+++ policy version 3\n")
    assert [line.split(":")[0] for line in found["lost"]] == ["protect.networks", "rules"]
    draft = {"a": {}, "b": {"text": LOOSE + "# a comment\n"}}
    found = (await viewer.post("/v1/policy/diff", json=draft)).json()
    assert (found["a"], found["b"], found["same"], found["lost"]) == ("3", "draft", True, [])
    both = {"b": {"version": 1, "text": LOOSE}}
    assert "either" in is_problem(await viewer.post("/v1/policy/diff", json=both), 422)["detail"]
    broken = {"b": {"text": "rulez: []"}}
    assert "rulez" in is_problem(await viewer.post("/v1/policy/diff", json=broken), 422)["detail"]


async def test_roll_back_publishes_the_earlier_text_as_a_new_version(
    published: httpx.AsyncClient, rt: Runtime
) -> None:
    etag = (await published.get("/v1/policy")).headers["etag"]
    done = await published.post("/v1/policy/roll-back", json={"to": 2}, headers={"if-match": etag})
    assert done.status_code == 200, done.text
    assert (done.json()["version"], done.json()["source"]) == (4, STRICT)
    assert (await published.get("/v1/policy")).json()["version"] == 4
    recorded = [each.data for each in await events(rt, EventKind.POLICY_PUBLISHED)]
    assert {"version": 4, "digest": done.json()["digest"], "rolled_back_to": 2} in recorded
    again = await published.post("/v1/policy/roll-back", json={"to": 2}, headers={"if-match": "*"})
    assert "has this text" in is_problem(again, 409)["detail"]
    assert len(await every(published, "/v1/policy/versions", 9)) == 4


async def test_roll_back_needs_the_policy_that_its_author_has_seen(
    people: People, published: httpx.AsyncClient
) -> None:
    etag = (await published.get("/v1/policy")).headers["etag"]
    is_problem(await published.post("/v1/policy/roll-back", json={"to": 2}), 428)
    await published.put("/v1/policy", json={"text": "rules: []\n"}, headers={"if-match": etag})
    late = await published.post("/v1/policy/roll-back", json={"to": 2}, headers={"if-match": etag})
    is_problem(late, 412)
    denied = await people[Role.ANALYST].post("/v1/policy/roll-back", json={"to": 2})
    is_problem(denied, 403)
