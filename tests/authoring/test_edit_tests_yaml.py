"""Appending cases to tests.yaml without changing existing content."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.authoring.rehearsal.tests_yaml.edit import append_case, new_tests_file
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.yaml import load

CASE: dict[str, Any] = {
    "name": "as in run run_1",
    "given": {
        "alert": {"title": "a: b # c", "rule": "012", "host": {"name": "host-1", "critical": False}}
    },
    "decide": ["approve", {"approve": ["firewall.block_address 203.0.113.1"]}],
    "policy": "protect:\n  # ours\n  networks: [10.0.0.0/8]\n",
    "expect": {"status": "completed", "applied": []},
}
BEFORE = """\
# ours
playbook: block   # the name

cases:
  # the first
  - name: one
    given: {inputs: {a: 1}}
    expect: {status: completed}
"""


def test_new_file_round_trips() -> None:
    text = new_tests_file("block", CASE, ["a note\nof two lines"])
    assert load(text).data == {"playbook": "block", "cases": [CASE]}
    assert "  # a note of two lines\n  - name:" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "\u2028",
        "- x: !!python/object",
        "${{ 1 }}\n  tab\there ",
        "yes",
        "1:20",
        "\t",
        "a\r\nb",
        "\u00fc\u202e",
        "  lead\nx",
    ],
)
def test_alert_content_stays_text(hostile: str) -> None:
    case = {**CASE, "given": {"alert": {"title": hostile}}}
    assert load(new_tests_file("block", case)).data["cases"] == [case]


@pytest.mark.parametrize(
    "after", ["", "\n# the end\n", "stubs:\n  a.b: {output: {}}\n", "\n# of the stubs\nstubs: {}\n"]
)
@pytest.mark.parametrize("last", ["\n", ""])
def test_existing_content_and_comments_are_kept(after: str, last: str) -> None:
    before = BEFORE + after if last else (BEFORE + after).rstrip("\n")
    text = append_case(before, "tests.yaml", CASE)
    assert [each["name"] for each in load(text).data["cases"]] == ["one", "as in run run_1"]
    assert [line for line in before.splitlines() if line not in text.splitlines()] == []
    assert text.startswith(BEFORE.rstrip("\n"))


def test_taken_name_gets_a_number() -> None:
    text = append_case(append_case(BEFORE, "t", CASE), "t", CASE)
    assert [each["name"] for each in load(text).data["cases"]] == [
        "one",
        "as in run run_1",
        "as in run run_1, again (2)",
    ]


def test_unindented_list_stays_unindented() -> None:
    text = append_case(
        "playbook: b\ncases:\n- name: one\n  expect: {status: completed}\nstubs: {}\n", "t", CASE
    )
    assert "\n- name: as in run run_1\n" in text
    assert len(load(text).data["cases"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "playbook: b\n",
        "playbook: b\ncases: [{name: one}]\n",
        "cases:\n  a: 1\n",
        "a: [\n",
        "[]\n",
        "'cases':\n  - name: x\n",
    ],
)
def test_file_without_a_list_of_cases_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        append_case(text, "tests.yaml", CASE)
