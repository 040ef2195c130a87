"""A body is parsed strictly, within bounds, and without a crash."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.domain.digest import canonical
from orchestrator.intake.body import MAX_DEPTH, BodyRefused, parse_json


def refused(body: bytes, limit: int = 1024 * 1024) -> BodyRefused:
    """Return the refusal of a body."""
    with pytest.raises(BodyRefused) as caught:
        parse_json(body, limit)
    return caught.value


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "empty"),
        (b" \n", 400, "empty"),
        (b"\xef\xbb\xbf", 400, "empty"),
        (b"{", 400, "line 1, column 2"),
        (b'{"a": 1,}', 400, "not JSON"),
        (b"{} {}", 400, "Extra data"),
        (b'{"a": "\xff"}', 400, "not UTF-8: byte 7"),
        ('{"a": "x"}'.encode("utf-16"), 400, "not UTF-8"),
        (b'"\xed\xa0\x80"', 400, "not UTF-8"),
        (b'{"a": NaN}', 400, "NaN"),
        (b"[-Infinity]", 400, "Infinity"),
        (b"[1e999]", 422, "double"),
        (b"[18446744073709551616]", 422, "64 bits"),
        (b"[-9223372036854775809]", 422, "64 bits"),
        (b"[" + b"1" * 100_000 + b"]", 422, "64 bits"),
        (b'{"a": 1, "b": 2, "a": 3}', 422, "'a' occurs twice"),
        (b'{"x": [{"a": 1, "\\u0061": 3}]}', 422, "'a' occurs twice"),
        (b'{"a\\u0000": 1, "a\\ud800": 2}', 422, "occurs twice"),
        (b'"raw \x00 control"', 400, "control character"),
        (b"[" * 65 + b"]" * 65, 400, "deeper than 64"),
        (b"[" * 500_000, 400, "deeper than 64"),
        (b'{"a":' * 100_000, 400, "deeper than 64"),
    ],
)
def test_refusal_says_why(body: bytes, status: int, says: str) -> None:
    refusal = refused(body)
    assert refusal.status == status
    assert says in refusal.reason
    assert len(refusal.reason) < 200


def test_limit_counts_bytes_and_is_inclusive() -> None:
    body = '"é"'.encode()
    assert parse_json(body, len(body)) == "é"
    assert refused(body, len(body) - 1).status == 413


def test_depth_limit_is_inclusive_and_ignores_brackets_in_strings() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    text = json.dumps({"a": "[" * 200 + '\\"{' * 200})
    assert parse_json(text.encode()) == json.loads(text)


def test_depth_bomb_after_tricky_quotes_is_found() -> None:
    assert "deeper" in refused(b'["\\\\", "\\"", ' + b"[" * 100 + b"]" * 101).reason


@pytest.mark.parametrize(
    "body", [b'"' + b'\\"' * 500_000, b"[]," * 340_000, b'{"' * 500_000, b'"\\' * 500_000]
)
def test_parsing_takes_linear_time(body: bytes) -> None:
    started = time.process_time()
    refused(body)
    assert time.process_time() - started < 5


def test_byte_order_mark_is_skipped() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_64_bit_integers_stay_exact() -> None:
    assert parse_json(b"[18446744073709551615, -9223372036854775808, 1700000000000000123]") == [
        2**64 - 1,
        -(2**63),
        1700000000000000123,
    ]


def test_unstorable_characters_become_the_replacement_character() -> None:
    assert parse_json(b'{"a\\u0000b": ["\\ud83d", "\\ud83d\\ude00", "\\uDFFF x"]}') == {
        "a\ufffdb": ["\ufffd", "\U0001f600", "\ufffd x"]
    }


def test_escaped_backslash_before_u_is_not_an_escape() -> None:
    assert parse_json(b'"\\\\u0000"') == "\\u0000"


@given(st.binary(max_size=200) | st.text('[]{}",:\\u0d8 1eNa-\ufeff').map(str.encode))
@example(b'"\\u00')
def test_any_bytes_yield_a_value_or_a_refusal(body: bytes) -> None:
    try:
        value = parse_json(body)
    except BodyRefused as refusal:
        assert refusal.status in {400, 413, 422}
    else:
        json.dumps(value, ensure_ascii=False).encode("utf-8")


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
)


@given(_VALUES)
def test_json_value_survives_a_round_trip_except_for_nul(value: object) -> None:
    read = parse_json(json.dumps(value).encode())
    canonical(read)
    if "\\u0000" not in json.dumps(value):
        assert read == value
