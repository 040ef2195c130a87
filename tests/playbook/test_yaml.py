"""Strict YAML: ambiguous text is refused, text stays text, bombs are refused early."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.playbook.language.yaml import MAX_BYTES, BadYaml, Position, load


def test_on_yes_no_and_off_stay_text() -> None:
    assert load("on: yes\nno: off\ny: n").data == {"on": "yes", "no": "off", "y": "n"}


def test_sexagesimal_and_dates_stay_text() -> None:
    assert load("a: 1:20\nb: 2024-01-01\nc: 12:30:45").data == {
        "a": "1:20",
        "b": "2024-01-01",
        "c": "12:30:45",
    }


def test_core_schema_scalars_are_read() -> None:
    data = load("[1, -2, 0x1F, 0o17, 1.5, 1e3, true, False, null, ~, '1', \"2\"]").data
    assert data == [1, -2, 31, 15, 1.5, 1000.0, True, False, None, None, "1", "2"]


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "fix"),
    [
        (
            "a: 012",
            1,
            4,
            "012 is octal to some readers and decimal to others",
            "write 12, or quote it: '012'",
        ),
        ("a: 1\nb: 2\na: 3", 3, 1, "the key 'a' appears twice", "remove one"),
        ("a: {b: 1, b: 2}", 1, 11, "the key 'b' appears twice", "remove one"),
        ("a: &x 1", 1, 4, "anchors (&) are not supported", "repeat the value"),
        ("a: 1\nb: *a", 2, 4, "aliases (*) are not supported", "repeat the value"),
        ("a: !!python/object:os.system x", 1, 4, "tags (!) are not supported", "remove it"),
        ("!!str a: 1", 1, 1, "tags (!) are not supported", "remove it"),
        ("a:\n  <<: {b: 1}", 2, 3, "merge keys are not supported", "write each field"),
        ("1: a", 1, 1, "the key 1 is not text", "quote it: '1'"),
        ("true: a", 1, 1, "the key true is not text", "quote it: 'true'"),
        ("? [a]\n: 1", 1, 3, "the key is not text", "quote a value"),
        ("a: {{ b }}", 1, 5, "the key is not text", "quote a value that starts with {"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document is not supported", "one playbook per file"),
        ("%YAML 1.1\n---\na: yes", 2, 1, "YAML directives are not supported", "remove the line"),
        ("a: .inf", 1, 4, ".inf is not a number", "quote it"),
        ("a: 1e999", 1, 4, "1e999 is not a number", "quote it"),
        ("a: 9007199254740992", 1, 4, "the number is beyond 2^53", "quote it"),
    ],
)
def test_ambiguous_text_is_refused_with_its_place(
    text: str, line: int, column: int, message: str, fix: str
) -> None:
    with pytest.raises(BadYaml) as caught:
        load(text)
    assert caught.value.position == Position(line, column)
    assert message in caught.value.message
    assert fix in (caught.value.fix or "")


def test_a_syntax_error_names_its_place() -> None:
    with pytest.raises(BadYaml) as caught:
        load("a: 1\nb: [1, 2\nc: 3")
    assert caught.value.position == Position(2, 4)
    assert caught.value.message == "a `[` is not closed"


@pytest.mark.parametrize(
    ("text", "line", "column", "message", "fix"),
    [
        ("a: 1\n\tb: 2", 2, 1, "a tab", "use spaces"),
        ("steps:\n  - id: a\n\t  use: b.c", 3, 1, "a tab", "use spaces"),
        ("a: b\tc: d", 1, 5, "a tab", "use spaces"),
        ("a:\n  with\n    b: 1", 2, 7, "missing ':' after 'with'", "write `with:`"),
        ("- id a\n  use: b", 1, 5, "missing ':' after 'id'", "write `id:`"),
        ("a: x\nversion 1\nb: y", 2, 8, "missing ':' after 'version'", "write `version:`"),
        ("use: b.c\nwith\n", 2, 5, "missing ':' after 'with'", "write `with:`"),
        ("q: Block x: now?", 1, 11, "a second ': ' in one line", "quote the value"),
        ("a: 1\n  b: 2", 2, 3, "indented below a key that has a value", "the same column"),
        ("a: {x: 1\nb: 3", 1, 4, "a `{` is not closed", "add `}`"),
        ("a: 'x\nb: 1", 1, 4, "a quote is not closed", "add the closing quote"),
        ("a: @x", 1, 4, "a value cannot start with @", "quote it"),
        ("a:\n  b: 1\n c: 2", 3, 2, "does not fit the block around it", "the same column"),
    ],
)
def test_a_syntax_error_says_what_is_wrong_in_its_line(
    text: str, line: int, column: int, message: str, fix: str
) -> None:
    with pytest.raises(BadYaml) as caught:
        load(text)
    assert caught.value.position == Position(line, column)
    assert message in caught.value.message
    assert fix in (caught.value.fix or "")


def test_billion_laughs_are_refused_at_the_first_anchor() -> None:
    bomb = 'a: &a ["lol"]\n' + "".join(
        f"{new}: &{new} [*{old},*{old},*{old}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(BadYaml, match="anchors"):
        load(bomb)


@pytest.mark.parametrize(
    "bomb",
    ["[" * 100_000, "{a: " * 50_000, "\n".join(" " * n + "a:" for n in range(600)), "- " * 100_000],
)
def test_depth_bomb_is_refused_early(bomb: str) -> None:
    started = time.process_time()
    with pytest.raises(BadYaml):
        load(bomb)
    assert time.process_time() - started < 5


def test_a_text_over_the_limit_is_refused() -> None:
    with pytest.raises(BadYaml, match="larger than 256 KiB"):
        load("a: " + "x" * MAX_BYTES)


def test_every_node_has_a_position() -> None:
    document = load("a:\n  - b: 1\n    c: [x,\n      y]\n")
    assert document.at(("a", 0, "c", 1)) == Position(4, 7)
    assert document.at(("a", 0, "c"), key=True) == Position(3, 5)
    assert document.at(("a", 0, "missing", "deeper")) == Position(2, 5)


def test_an_empty_text_is_null() -> None:
    assert load("").data is None
    assert load("# only a comment\n").data is None


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_loads_or_is_refused(text: str) -> None:
    with contextlib.suppress(BadYaml):
        load(text)


@settings(deadline=None)
@given(st.text(alphabet=":-[]{}&*!|>'\"%@`#? \n\tab01.", max_size=80))
def test_any_punctuation_loads_or_is_refused(text: str) -> None:
    with contextlib.suppress(BadYaml):
        load(text)
