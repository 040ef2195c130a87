"""Hostile text is sanitized, dedup keys stay distinct, and messages name the path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.untrusted.text import sanitize
from orchestrator.intake.errors import Unparseable
from orchestrator.intake.normalize.json_cursor import MAX_KEY, JsonCursor
from orchestrator.intake.normalize.keys import dedup_key, fingerprint


def test_text_is_one_line_without_control_and_direction_characters() -> None:
    assert sanitize(" a\r\nb\tc ") == "a b c"
    assert sanitize("\x1b[31mred\u202egnp.exe") == "\ufffd[31mred\ufffdgnp.exe"
    assert sanitize("\ud800x") == "\ufffdx"
    assert sanitize("x" * 20, 10) == "x" * 9 + "…"


@given(st.text(st.characters(), max_size=100), st.integers(1, 50))
def test_sanitized_text_is_short_and_encodes(text: str, limit: int) -> None:
    cleaned = sanitize(text, limit)
    assert len(cleaned) <= limit
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned


def test_parts_of_a_dedup_key_cannot_be_shifted() -> None:
    assert dedup_key("a", "b/c") == "a/b\\/c"
    assert dedup_key("a/b", "c") != dedup_key("a", "b/c")
    assert dedup_key("a\\", "b") != dedup_key("a", "\\b")
    assert dedup_key("arn:aws/x") == "arn:aws/x"


@given(
    st.lists(st.text(st.characters(), min_size=1), min_size=2, max_size=4),
    st.lists(st.text(st.characters(), min_size=1), min_size=2, max_size=4),
)
def test_different_parts_have_different_dedup_keys(left: list[str], right: list[str]) -> None:
    assert (dedup_key(*left) == dedup_key(*right)) == (left == right)


def test_long_or_unprintable_dedup_keys_are_hashed_not_cut() -> None:
    first, second = dedup_key("x" * 600 + "1"), dedup_key("x" * 600 + "2")
    assert first != second
    assert max(len(first), len(dedup_key("x" * MAX_KEY))) <= MAX_KEY
    assert dedup_key("a\x00b") != dedup_key("a\ufffdb")
    assert dedup_key(" ") != dedup_key("")


def test_fingerprint_ignores_the_order_of_keys_and_accepts_64_bit_integers() -> None:
    assert fingerprint({"a": 1, "b": [2**64 - 1]}) == fingerprint({"b": [2**64 - 1], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


def test_fingerprint_is_of_the_moment_and_not_of_its_spelling() -> None:
    spellings = ("2026-11-28T20:00:00Z", "2026-11-28T21:00:00+01:00", "2026-11-28 20:00:00.000Z")
    assert len({fingerprint({"at": [spelled]}) for spelled in spellings}) == 1
    assert fingerprint("2026-11-28T20:00:00.000000001Z") != fingerprint(spellings[0])
    assert fingerprint("2026-13-28T20:00:00Z") != fingerprint("2026-11-28T20:00:00Z")


READING = JsonCursor(
    "suricata",
    {"alert": {"signature_id": True, "n": " 47 ", "list": ["a", 1, None, {}], "big": 2**63}},
    hint="is it EVE?",
)


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (
            "signature_id",
            "suricata: $.alert.signature_id is a boolean where text was expected; is it EVE?",
        ),
        ("list", "suricata: $.alert.list is a list where text was expected; is it EVE?"),
        ("absent", "suricata: $.alert.absent is missing; is it EVE?"),
    ],
)
def test_wrong_field_is_named_with_its_path_and_the_expectation(key: str, says: str) -> None:
    with pytest.raises(Unparseable) as caught:
        READING.required_text("alert", key)
    assert str(caught.value) == says


def test_optional_reads_accept_the_right_type_only() -> None:
    alert = READING.at("alert")
    assert alert.number("n") == 47.0
    assert alert.integer("n", high=40) is None
    assert alert.texts("list") == ["a", "1"]
    assert alert.integer("big") is None
    assert alert.exact("big") == str(2**63)
    assert alert.text("n", "deeper") is None
    assert READING.at("alert", "list", -1).path == "$.alert.list[-1]"
