"""Fuzzing: for any text the compiler returns a plan or raises problems, and nothing else."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.schema.steps import KINDS
from tests.harness.playbook_texts import problems_of
from tests.playbook.test_constructs import DESIGN

WORDS = [
    *KINDS,
    "id",
    "with",
    "when",
    "steps",
    "as",
    "at_most",
    "until",
    "otherwise",
    "event",
    "within",
    "form",
    "question",
    "approve",
]
HEADS = [
    "playbook",
    "version",
    "title",
    "owner",
    "attack",
    "trigger",
    "once_per",
    "inputs",
    "limits",
    "on_failure",
    "on_error",
    "type",
    "default",
]
TEXTS = [
    "a",
    "1h",
    "firewall.block_address",
    "${{ steps.a.b }}",
    "${{ alert.host",
    "true",
    "x@1",
    "stop",
    "roll_back",
    "choice",
    "address",
    "",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(TEXTS),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS + HEADS), children, max_size=5)
    ),
    max_leaves=20,
)
LINES = DESIGN.splitlines()


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(HEADS + WORDS), ANYTHING, max_size=8),
    st.lists(ANYTHING, max_size=3),
)
def test_any_structure_compiles_or_has_problems(head: dict[str, Any], steps: list[Any]) -> None:
    for data in (
        head,
        {**head, "playbook": "x", "version": 1, "title": "X", "owner": "o", "steps": steps},
    ):
        problems_of(json.dumps(data))


@settings(deadline=None)
@given(
    st.integers(0, len(LINES) - 1),
    st.integers(0, len(LINES) - 1),
    st.integers(0, 60),
    st.text(max_size=4),
)
def test_any_typing_error_compiles_or_has_problems(
    line: int, other: int, column: int, slip: str
) -> None:
    lines = list(LINES)
    lines[line] = lines[line][:column] + slip + lines[line][column + 1 :]
    problems_of("\n".join(lines))
    del lines[other]
    problems_of("\n".join(lines))


@settings(deadline=None)
@given(st.text(max_size=100))
def test_any_text_has_problems(text: str) -> None:
    assert problems_of(text)
