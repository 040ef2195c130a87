"""Is hostile text made safe, are identities never merged, and do messages name the path?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.intake.normalize.json_cursor import MAX_KEY, Reading, clean, fingerprint, identity
from orchestrator.intake.refusal import Unparseable


def test_text_is_one_line_without_escapes_and_direction_tricks() -> None:
    assert clean(" a\r\nb\tc ") == "a b c"
    assert clean("\x1b[31mred\u202egnp.exe") == "\ufffd[31mred\ufffdgnp.exe"
    assert clean("\ud800x") == "\ufffdx"
    assert clean("x" * 20, 10) == "x" * 9 + "…"


@given(st.text(st.characters(), max_size=100), st.integers(1, 50))
def test_cleaned_text_is_short_and_encodes(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    cleaned.encode("utf-8")
    assert "\x00" not in cleaned


def test_parts_of_an_identity_can_not_be_shifted_between_each_other() -> None:
    assert identity("a", "b/c") == "a/b\\/c"
    assert identity("a/b", "c") != identity("a", "b/c")
    assert identity("a\\", "b") != identity("a", "\\b")
    assert identity("arn:aws/x") == "arn:aws/x"


@given(
    st.lists(st.text(st.characters(), min_size=1), min_size=2, max_size=4),
    st.lists(st.text(st.characters(), min_size=1), min_size=2, max_size=4),
)
def test_different_parts_are_different_identities(left: list[str], right: list[str]) -> None:
    assert (identity(*left) == identity(*right)) == (left == right)


def test_long_or_unprintable_identities_are_hashed_not_cut() -> None:
    first, second = identity("x" * 600 + "1"), identity("x" * 600 + "2")
    assert first != second
    assert max(len(first), len(identity("x" * MAX_KEY))) <= MAX_KEY
    assert identity("a\x00b") != identity("a\ufffdb")
    assert identity(" ") != identity("")


def test_a_fingerprint_does_not_depend_on_the_order_of_keys_and_takes_64_bit_integers() -> None:
    assert fingerprint({"a": 1, "b": [2**64 - 1]}) == fingerprint({"b": [2**64 - 1], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": "1"})


READING = Reading(
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
def test_a_wrong_field_is_named_with_its_path_and_what_was_expected(key: str, says: str) -> None:
    with pytest.raises(Unparseable) as caught:
        READING.required_text("alert", key)
    assert str(caught.value) == says


def test_optional_reads_take_what_fits_and_nothing_else() -> None:
    alert = READING.at("alert")
    assert alert.number("n") == 47.0
    assert alert.integer("n", high=40) is None
    assert alert.texts("list") == ["a", "1"]
    assert alert.integer("big") is None
    assert alert.exact("big") == str(2**63)
    assert alert.text("n", "deeper") is None
    assert READING.at("alert", "list", -1).path == "$.alert.list[-1]"
