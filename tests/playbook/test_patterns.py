"""Patterns agree with `re` where both can tell, and wrong ones say where and what to write."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.patterns import MAX_PATTERN, PatternInvalid, is_found

ATOMS = st.sampled_from(
    ["a", "b", "1", " ", r"\.", r"\-", ".", r"\d", r"\D", r"\w", r"\W", r"\n",
     "[ab]", "[^ab]", "[a-z1]", r"[\w.]", r"[^\d\-]", "[-a]", "[b-]"]
)  # fmt: skip
REPEATS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,}", "{0,2}", "{1,3}"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    part = st.builds("({}){}".format, inner, REPEATS) | st.builds("{}{}".format, ATOMS, REPEATS)
    sequence = st.lists(part, max_size=4).map("".join)
    return st.lists(sequence, min_size=1, max_size=3).map("|".join)


BODIES = st.recursive(st.builds("{}{}".format, ATOMS, REPEATS), _grown, max_leaves=8)
PATTERNS = st.builds(
    "{}({}){}".format, st.sampled_from(["", "^"]), BODIES, st.sampled_from(["", "$"])
)


@settings(max_examples=400, deadline=None)
@given(pattern=PATTERNS, text=st.text("ab1 _-\n.", max_size=12))
def test_search_agrees_with_re(pattern: str, text: str) -> None:
    python = re.sub(r"\$$", r"\\Z", pattern)  # `$` of `re` also matches before a last line feed
    assert is_found(pattern, text) is (re.search(python, text, re.ASCII) is not None)


@settings(max_examples=300, deadline=None)
@given(pattern=st.text(max_size=20), text=st.text(max_size=20))
def test_any_text_is_a_pattern_or_an_error_with_its_fix(pattern: str, text: str) -> None:
    try:
        is_found(pattern, text)
    except PatternInvalid as error:
        assert error.fix


@pytest.mark.parametrize("pattern", ["(a*)*c", "(a|a)*c", "(a|b)*a(a|b){60}c", "(.*.*)*x$"])
def test_search_that_makes_others_backtrack_ends(pattern: str) -> None:
    assert is_found(pattern, "ab" * 30_000) is False


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^[A-Z]{3}-[0-9]{1,5}$", "SOC-4711", True),
        ("é+$", "caféé", True),
        ("^.$", "\U0001f600", True),
        ("^$", "\n", False),
        ("a", "\ud800a", True),
        ("(?i)beacon", "C2 BEACON", True),
        (r"\bssh\b", "an ssh login", True),
    ],
)
def test_search_is_by_characters(pattern: str, text: str, found: bool) -> None:
    assert is_found(pattern, text) is found


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("a(b", "missing ); add the )"),
        ("xa[b", "missing ] at '[b', column 3 of the pattern; add the ]"),
        ("ab)", "unexpected )"),
        ("a**", "bad repetition operator at '**', column 2"),
        (r"(a)\1", r"column 4 of the pattern; there are no back-references"),
        ("(?=a)b", "there are no look-arounds"),
        ("a{3,1}", "the smaller number first"),
        ("[z-a]", "column 2 of the pattern; put the smaller end first"),
        ("a\\", "trailing"),
        ("((a{99}){99}){99}", "at most 1000 times"),
        ("a" * (MAX_PATTERN + 1), f"the limit is {MAX_PATTERN}"),
    ],
)
def test_wrong_patterns_say_where_and_the_fix(pattern: str, part: str) -> None:
    with pytest.raises(PatternInvalid) as caught:
        is_found(pattern, "")
    assert part in str(caught.value)
