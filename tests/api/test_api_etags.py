"""Entity tags: what is read names its state, and a write may name the state that it replaces."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from orchestrator.runtime import Runtime
from orchestrator.store.precondition import etag_of
from tests.api.test_api_protocol import EACH, at
from tests.harness.api_calls import add_edge, is_problem
from tests.harness.people import new_key

FIRST, SECOND, THIRD = (
    {"text": f"protect: {{hosts: [{name}]}}\n"} for name in ("dc-1", "dc-2", "dc-3")
)
PLAYBOOK = """
playbook: p
version: {number}
title: Version {number}
owner: soc
steps:
  - {{id: look, use: reputation.lookup_address, with: {{address: 192.0.2.1}}}}
"""
LAB = {"connector": "nftables", "settings": {"netns": "a"}, "check": False}


async def tag(client: httpx.AsyncClient, path: str) -> str:
    reply = await client.get(path)
    assert reply.status_code == 200, reply.text
    return reply.headers["etag"]


async def test_policy_is_not_replaced_without_naming_the_one_that_was_read(
    admin: httpx.AsyncClient,
) -> None:
    refused = await admin.put("/v1/policy", json=FIRST)
    assert "send its ETag as If-Match" in is_problem(refused, 428)["detail"]
    assert refused.headers["etag"] == await tag(admin, "/v1/policy")
    assert (await admin.get("/v1/policy")).json()["version"] == 1


async def test_second_of_two_admins_does_not_overwrite_the_first(admin: httpx.AsyncClient) -> None:
    seen = {"if-match": await tag(admin, "/v1/policy")}
    replies = await asyncio.gather(
        *(admin.put("/v1/policy", json=body, headers=seen) for body in (FIRST, SECOND))
    )
    assert sorted(reply.status_code for reply in replies) == [200, 412]
    done, refused = sorted(replies, key=lambda reply: reply.status_code)
    assert "has changed since you read it" in is_problem(refused, 412)["detail"]
    current = await tag(admin, "/v1/policy")
    assert refused.headers["etag"] == done.headers["etag"] == current != seen["if-match"]
    again = await admin.put("/v1/policy", json=THIRD, headers={"if-match": current})
    assert (again.status_code, again.json()["version"]) == (200, 3)


async def test_star_replaces_any_policy(admin: httpx.AsyncClient) -> None:
    reply = await admin.put("/v1/policy", json=FIRST, headers={"if-match": "*"})
    assert reply.status_code == 200


@pytest.mark.parametrize("header", ['W/{}, "other"', '"other", {}', "  {} "])
async def test_one_of_several_and_weakened_tags_match(
    admin: httpx.AsyncClient, header: str
) -> None:
    seen = header.format(await tag(admin, "/v1/policy"))
    reply = await admin.put("/v1/policy", json=FIRST, headers={"if-match": seen})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("header", ["abc", '"abc', "", '"a" "b"'])
async def test_malformed_tag_is_refused_with_the_form(
    admin: httpx.AsyncClient, header: str
) -> None:
    reply = await admin.put("/v1/policy", json=FIRST, headers={"if-match": header})
    assert "in quotes" in is_problem(reply, 422)["detail"]


async def test_connection_is_replaced_and_removed_only_in_the_state_that_was_read(
    admin: httpx.AsyncClient,
) -> None:
    path = "/v1/connections/firewall"
    absent = await admin.put(path, json=LAB, headers={"if-match": "*"})
    assert "does not exist" in is_problem(absent, 412)["detail"]
    assert "etag" not in absent.headers
    first = (await admin.put(path, json=LAB)).headers["etag"]
    changed = {**LAB, "settings": {"netns": "b"}}
    second = (await admin.put(path, json=changed, headers={"if-match": first})).headers["etag"]
    for stale in (
        await admin.put(path, json=LAB, headers={"if-match": first}),
        await admin.delete(path, headers={"if-match": first}),
    ):
        is_problem(stale, 412)
        assert stale.headers["etag"] == second
    assert (await admin.delete(path, headers={"if-match": second})).status_code == 204


async def test_contact_key_and_source_are_removed_only_in_the_state_that_was_read(
    admin: httpx.AsyncClient,
) -> None:
    person = await admin.post("/v1/people", json={"id": "ann"})
    made = await admin.post("/v1/keys", json={"person": "ann", "roles": ["approver"]})
    changed = await admin.patch(
        "/v1/people/ann", json={"groups": ["soc"]}, headers={"if-match": person.headers["etag"]}
    )
    assert changed.json()["groups"]["soc"]["by"] == "person:admin-person"
    is_problem(
        await admin.patch(
            "/v1/people/ann", json={"groups": []}, headers={"if-match": person.headers["etag"]}
        ),
        412,
    )
    saved = await admin.put("/v1/contacts/ann", json={"email": "ann@corp.example"})
    await add_edge(admin)
    (source,) = (await admin.get("/v1/sources")).json()["items"]
    for path, etag in (
        (f"/v1/keys/{made.json()['id']}", made.headers["etag"]),
        ("/v1/contacts/ann", saved.headers["etag"]),
        ("/v1/sources/edge", etag_of(source)),
    ):
        is_problem(await admin.delete(path, headers={"if-match": '"other"'}), 412)
        assert (await admin.delete(path, headers={"if-match": etag})).status_code == 204


async def test_reader_who_has_the_state_is_answered_without_it(admin: httpx.AsyncClient) -> None:
    seen = await tag(admin, "/v1/policy")
    same = await admin.get("/v1/policy", headers={"if-none-match": f'"x", W/{seen}'})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", seen)
    await admin.put("/v1/policy", json=FIRST, headers={"if-match": seen})
    assert (await admin.get("/v1/policy", headers={"if-none-match": seen})).status_code == 200


async def test_every_json_answer_to_get_has_an_etag(admin: httpx.AsyncClient) -> None:
    for method, route in EACH:
        if method != "GET":
            continue
        reply = await admin.get(at(route.path))
        if reply.status_code == 200 and reply.headers["content-type"] == "application/json":
            shown = reply.json()
            assert not isinstance(shown, dict) or reply.headers["etag"] == etag_of(shown)


def test_tag_is_of_the_state_and_not_of_what_is_shown_once() -> None:
    state = {"id": "k", "n": 2**70, "at": "2026-01-01T00:00:00Z"}
    assert etag_of(state) == etag_of({**state, "token": "t", "warnings": ["w"]})
    assert etag_of(state) != etag_of({**state, "id": "l"})


async def test_publication_warns_of_lost_protection_and_of_groups_without_people(
    admin: httpx.AsyncClient, rt: Runtime
) -> None:
    wide = (
        "protect: {hosts: [dc-1, dc-2], networks: [10.0.0.0/24]}\n"
        "rules:\n  - {name: vips, tags: executive, approve: {by: night-shift}}\n"
    )
    first = await admin.put("/v1/policy", json={"text": wide}, headers={"if-match": "*"})
    (empty,) = [each for each in first.json()["warnings"] if "group" in each]
    assert "no one in group 'night-shift' has a live key that may decide" in empty
    assert "tocsin person change PERSON --add-group night-shift" in empty
    await admin.post("/v1/people", json={"id": "ann", "groups": ["night-shift"]})
    await new_key(admin, "ann", "approver")
    assert (await admin.post("/v1/policy/check", json={"text": wide})).json()["warnings"] == []
    for text in ("protect: {}\n", "protect: {hosts: [dc-2]}\n"):
        found = (await admin.post("/v1/policy/check", json={"text": text})).json()["warnings"]
        assert any("dc-1" in each and "no longer protected" in each for each in found)
        assert "protect.networks: 10.0.0.0/24 is no longer protected" in found
        assert "rules: vips, which asks for approval, is changed or removed" in found
    gone = await admin.put(
        "/v1/policy", json={"text": "protect: {}\n"}, headers={"if-match": first.headers["etag"]}
    )
    assert "protect.hosts: dc-1, dc-2 are no longer protected" in gone.json()["warnings"]


async def test_asset_is_removed_only_as_it_was_seen(admin: httpx.AsyncClient) -> None:
    network = {"type": "network", "value": "10.0.0.0/24", "tags": ["lab"]}
    await admin.post("/v1/assets", json=[network])
    seen = await admin.get("/v1/assets/network/10.0.0.7/24")
    assert (seen.status_code, seen.json()["value"]) == (200, "10.0.0.0/24")
    await admin.post("/v1/assets", json=[{**network, "critical": True}])
    query = {"type": "network", "value": "10.0.0.0/24"}
    stale = {"If-Match": seen.headers["etag"]}
    is_problem(await admin.delete("/v1/assets", params=query, headers=stale), 412)
    now = {"If-Match": (await admin.get("/v1/assets/network/10.0.0.0/24")).headers["etag"]}
    assert (await admin.delete("/v1/assets", params=query, headers=now)).status_code == 204
    is_problem(await admin.get("/v1/assets/network/10.0.0.0/24"), 404)
    is_problem(await admin.get("/v1/assets/car/x"), 422)


async def test_version_changes_its_stage_only_as_it_was_seen(admin: httpx.AsyncClient) -> None:
    for number in (1, 2):
        text = PLAYBOOK.format(number=number)
        done = await admin.post("/v1/playbooks", json={"text": text, "file": "p.yaml"})
        assert done.status_code == 201, done.text
    first = {"If-Match": (await admin.get("/v1/playbooks/p?version=1")).headers["etag"]}
    second = {"If-Match": (await admin.get("/v1/playbooks/p")).headers["etag"]}
    path = "/v1/playbooks/p"
    is_problem(await admin.post(f"{path}/2/retire", headers=first), 412)
    is_problem(await admin.post(f"{path}/roll-back", json={"to": 1}, headers=first), 412)
    is_problem(await admin.put(f"{path}/2/stage", json={"stage": "shadow"}, headers=first), 412)
    assert (await admin.get("/v1/playbooks/p")).json()["version"] == 2
    assert (await admin.post(f"{path}/2/retire", headers=second)).status_code == 200
    is_problem(await admin.post(f"{path}/2/reinstate", headers=second), 412)
    assert (await admin.get("/v1/playbooks/p")).json()["version"] == 1
    roll_back = await admin.post(f"{path}/2/reinstate", headers={"If-Match": "*"})
    assert roll_back.status_code == 200
    now = {"If-Match": (await admin.get("/v1/playbooks/p")).headers["etag"]}
    done = await admin.post(f"{path}/roll-back", json={"to": 1}, headers=now)
    assert done.json() == {"retired": [2]}
