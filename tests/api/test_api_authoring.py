"""The API of authoring: drafts are checked, linted, compared and drawn."""

from __future__ import annotations

import pytest

from orchestrator.domain.access import Role
from tests.harness.api_calls import People, is_problem

TEXT = """\
playbook: block
version: 1
title: Block
owner: soc
trigger: {when: alert.class == 'c2_beacon'}
steps:
  - {id: block, use: firewall.block_address, with: {address: 198.51.100.7}}
"""


async def test_draft_is_linted(people: People) -> None:
    viewer = people[Role.VIEWER]
    found = await viewer.post("/v1/authoring/lint", json={"text": TEXT, "file": "x.yaml"})
    assert [(each["file"], each["line"], each["rule"]) for each in found.json()["findings"]] == [
        ("x.yaml", 7, "contain-without-for")
    ]
    assert (
        await viewer.post("/v1/authoring/lint", json={"text": TEXT.replace("7}}", "7}, for: 1h}")})
    ).json() == {"findings": []}
    is_problem(await viewer.post("/v1/authoring/lint", json={"text": "playbook: x"}), 422)


async def test_draft_is_compared_with_a_published_version(people: People) -> None:
    author = people[Role.AUTHOR]
    assert (await author.post("/v1/playbooks", json={"text": TEXT})).status_code == 201
    draft = {
        "text": TEXT.replace("block_address", "block_network").replace(
            "address: 198.51.100.7", "network: 198.51.100.0/24"
        )
    }
    found = (
        await author.post(
            "/v1/authoring/diff", json={"a": {"name": "block", "version": 1}, "b": draft}
        )
    ).json()
    assert (
        found["changes"][0]["sentence"]
        == "can now block networks (firewall.block_network, step block)"
    )
    assert "can now block networks" in found["markdown"]
    same = (
        await author.post("/v1/authoring/diff", json={"a": {"name": "block"}, "b": {"text": TEXT}})
    ).json()
    assert same["same"] is True
    is_problem(
        await author.post("/v1/authoring/diff", json={"a": {"name": "nope"}, "b": draft}), 404
    )
    is_problem(await author.post("/v1/authoring/diff", json={"a": {}, "b": draft}), 422)


async def test_version_is_published_with_tests_as_a_shadow(people: People) -> None:
    author = people[Role.AUTHOR]
    body = {
        "text": TEXT,
        "tests": "playbook: block\ncases: []\n",
        "files": {"alerts/a.json": "e30="},
        "stage": "shadow",
    }
    published = (await author.post("/v1/playbooks", json=body)).json()
    assert (published["stage"], published["tested"]) == ("shadow", True)
    bundle = (await author.get("/v1/playbooks/block/1/bundle")).json()
    assert (bundle["tests"], bundle["files"]) == (body["tests"], body["files"])
    lost = is_problem(
        await author.post("/v1/playbooks", json={"text": TEXT, "files": {"a": "e30="}}), 422
    )
    assert "send the tests too" in str(lost)


@pytest.mark.parametrize(
    "name", ["check", "lint", "diff", "test", "graph", "schema", "scaffold", "new"]
)
async def test_playbook_may_have_the_name_of_an_operation(people: People, name: str) -> None:
    author = people[Role.AUTHOR]
    text = TEXT.replace("playbook: block", f"playbook: {name}")
    published = await author.post("/v1/playbooks", json={"text": text})
    assert published.status_code == 201, published.text
    assert (await author.get(f"/v1/playbooks/{name}")).json()["name"] == name
    graph = await author.get(f"/v1/playbooks/{name}/1/graph", params={"format": "mermaid"})
    assert graph.text.startswith("flowchart")
    usage = (await author.get(f"/v1/playbooks/{name}/usage")).json()
    assert [each["version"] for each in usage] == [1]
    retired = (await author.post(f"/v1/playbooks/{name}/1/retire")).json()
    assert retired["retired"] is True


async def test_scaffold_passes_the_check(people: People) -> None:
    author = people[Role.AUTHOR]
    body = {"name": "mine", "template": "containment"}
    files = (await author.post("/v1/authoring/scaffold", json=body)).json()["files"]
    checked = await author.post("/v1/authoring/check", json={"text": files["playbook.yaml"]})
    assert checked.json()["playbook"] == "mine"


async def test_shadow_is_ended(people: People) -> None:
    author = people[Role.AUTHOR]
    body = {"text": TEXT, "stage": "shadow"}
    assert (await author.post("/v1/playbooks", json=body)).status_code == 201
    assert (await author.get("/v1/shadows/block")).json()["version"] == 1
    assert (await author.delete("/v1/shadows/block/1")).status_code == 204
    is_problem(await author.delete("/v1/shadows/block/1"), 409)
