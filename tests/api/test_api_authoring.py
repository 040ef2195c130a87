"""Does the API lint and compare what need not be published?"""

from __future__ import annotations

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


async def test_a_draft_is_linted(people: People) -> None:
    viewer = people[Role.VIEWER]
    found = await viewer.post("/v1/playbooks/lint", json={"text": TEXT, "file": "x.yaml"})
    assert [(each["file"], each["line"], each["rule"]) for each in found.json()["findings"]] == [
        ("x.yaml", 7, "contain-without-for")
    ]
    assert (
        await viewer.post("/v1/playbooks/lint", json={"text": TEXT.replace("7}}", "7}, for: 1h}")})
    ).json() == {"findings": []}
    is_problem(await viewer.post("/v1/playbooks/lint", json={"text": "playbook: x"}), 422)


async def test_a_draft_is_compared_with_a_published_version(people: People) -> None:
    author = people[Role.AUTHOR]
    assert (await author.post("/v1/playbooks", json={"text": TEXT})).status_code == 201
    draft = {
        "text": TEXT.replace("block_address", "block_network").replace(
            "address: 198.51.100.7", "network: 198.51.100.0/24"
        )
    }
    found = (
        await author.post(
            "/v1/playbooks/diff", json={"a": {"name": "block", "version": 1}, "b": draft}
        )
    ).json()
    assert (
        found["changes"][0]["sentence"]
        == "can now block networks (firewall.block_network, step block)"
    )
    assert "can now block networks" in found["markdown"]
    same = (
        await author.post("/v1/playbooks/diff", json={"a": {"name": "block"}, "b": {"text": TEXT}})
    ).json()
    assert same["same"] is True
    is_problem(
        await author.post("/v1/playbooks/diff", json={"a": {"name": "nope"}, "b": draft}), 404
    )
    is_problem(await author.post("/v1/playbooks/diff", json={"a": {}, "b": draft}), 422)


async def test_a_version_is_published_with_its_tests_and_as_a_shadow(people: People) -> None:
    author = people[Role.AUTHOR]
    beside = {
        "text": TEXT,
        "tests": "playbook: block\ncases: []\n",
        "files": {"alerts/a.json": "e30="},
        "stage": "shadow",
    }
    published = (await author.post("/v1/playbooks", json=beside)).json()
    assert (published["stage"], published["tested"]) == ("shadow", True)
    bundle = (await author.get("/v1/playbooks/block/1/bundle")).json()
    assert (bundle["tests"], bundle["files"]) == (beside["tests"], beside["files"])
    lost = is_problem(
        await author.post("/v1/playbooks", json={"text": TEXT, "files": {"a": "e30="}}), 422
    )
    assert "send the tests along" in str(lost)
