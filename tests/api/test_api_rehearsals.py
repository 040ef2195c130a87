"""The API of playbook tests, for people who may publish."""

from __future__ import annotations

import base64

import playbooks
from orchestrator.domain.access import Role
from tests.harness.api_calls import People, is_problem

FOLDER = playbooks.folder("brute-force-block")
FILE = "alerts/crowdsec-ssh.json"
TESTS = """\
playbook: brute-force-block
stubs:
  reputation.lookup_address: {output: {known: true, malicious: 14, suspicious: 2, harmless: 0, undetected: 76}}
  tickets.open: {output: {key: SOC-7, url: "https://tickets.corp.example/browse/SOC-7"}}
cases:
  - name: a guesser is blocked
    given: {file: alerts/crowdsec-ssh.json, product: crowdsec}
    after: 25h
    expect: {status: completed, released: [firewall.block_address 203.0.113.9]}
  - name: a guesser is left alone
    given: {file: alerts/crowdsec-ssh.json, product: crowdsec}
    expect: {status: declined}
"""
BODY = {
    "playbook": FOLDER.joinpath("playbook.yaml").read_text("utf-8"),
    "tests": TESTS,
    "files": {FILE: base64.b64encode(FOLDER.joinpath(FILE).read_bytes()).decode()},
}


async def test_tests_run_with_coverage(people: People) -> None:
    found = (await people[Role.AUTHOR].post("/v1/authoring/test", json=BODY)).json()
    assert [(each["name"], each["passed"]) for each in found["cases"]] == [
        ("a guesser is blocked", True),
        ("a guesser is left alone", False),
    ]
    assert found["cases"][1]["differences"][0]["message"] == "status is completed, not declined"
    assert 0 < found["coverage"]["percent"] < 100


async def test_tests_require_the_permission_to_publish(people: People) -> None:
    is_problem(await people[Role.VIEWER].post("/v1/authoring/test", json=BODY), 403)


async def test_invalid_playbook_tests_or_files_are_refused(people: People) -> None:
    author = people[Role.AUTHOR]
    for wrong, said in (
        ({"playbook": "playbook: x"}, "playbook.yaml:1:1"),
        ({"tests": "playbook: brute-force-block\ncases: []"}, "tests.yaml:2:"),
        ({"files": {}}, "a case names this file, but it was not sent"),
        ({"files": {FILE: "%"}}, "not base64"),
    ):
        assert said in str(
            is_problem(await author.post("/v1/authoring/test", json={**BODY, **wrong}), 422)
        )
