"""The data of an event survives any store unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from orchestrator.audit.sanitize import (
    MAX_DEPTH,
    MAX_LABEL,
    MAX_SIZE,
    MAX_TEXT,
    sanitize_data,
    sealable,
)
from orchestrator.domain.audit_event import Event, EventKind, canonical_time
from orchestrator.domain.digest import canonical

_wild_text = st.text(st.characters(), max_size=30) | st.sampled_from(
    ["\ud800", "a\x00b", "\udfff\ud800", "é\U0001f600"]
)
_wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | _wild_text
    | st.binary(max_size=5)
    | st.datetimes()
    | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_wild_text, inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=30,
)


def _through_jsonb(value: Any) -> Any:
    """Return numbers as PostgreSQL's jsonb does: decimal, without exponent."""
    match value:
        case bool() | None | str():
            return value
        case float():
            return json.loads(f"{value:.340f}".rstrip("0").rstrip("."))
        case list():
            return [_through_jsonb(item) for item in value]
        case dict():
            return {key: _through_jsonb(item) for key, item in value.items()}
        case _:
            return value


@given(st.dictionaries(_wild_text, _wild, max_size=5))
def test_any_data_becomes_json_that_survives_a_round_trip(data: dict[str, Any]) -> None:
    clean = sanitize_data(data)
    before = canonical(clean)
    assert canonical(json.loads(json.dumps(clean))) == before
    assert canonical(json.loads(json.dumps(clean, ensure_ascii=False).encode())) == before
    assert b"\x00" not in before
    assert sanitize_data(clean) == clean


@given(st.floats())
def test_float_survives_a_store_that_rewrites_numbers(value: float) -> None:
    clean = sanitize_data({"value": value})
    assert canonical(_through_jsonb(clean)) == canonical(clean)


def test_integer_that_parsers_would_round_becomes_a_string() -> None:
    assert sanitize_data({"exact": 2**53 - 1, "over": 2**53, "under": -(2**60)}) == {
        "exact": 2**53 - 1,
        "over": str(2**53),
        "under": str(-(2**60)),
    }


def test_integer_too_long_to_print_is_described_by_its_length() -> None:
    assert sanitize_data({"n": 1 << 100_000}) == {"n": "[an integer of 100001 bits]"}


def test_numbers_that_json_lacks_become_strings() -> None:
    assert sanitize_data({"a": float("nan"), "b": float("-inf"), "c": 1e300}) == {
        "a": "nan",
        "b": "-inf",
        "c": "1e+300",
    }


def test_secret_is_masked_and_bytes_are_only_counted() -> None:
    clean = sanitize_data({"token": SecretStr("hunter2"), "body": b"hunter2", "odd": object()})
    assert clean == {"token": "**********", "body": "[7 bytes]", "odd": "[object]"}


def test_values_of_pydantic_models_are_written_as_text() -> None:
    clean = sanitize_data(
        {
            "at": IPv4Address("10.0.0.7"),
            "id": UUID(int=7),
            "n": Decimal("1.50"),
            "for": timedelta(hours=24),
            "kind": EventKind.RUN_ENDED,
        }
    )
    assert clean == {
        "at": "10.0.0.7",
        "id": "00000000-0000-0000-0000-000000000007",
        "n": "1.50",
        "for": "1 day, 0:00:00",
        "kind": "run:ended",
    }


def test_long_text_is_cut_with_a_note() -> None:
    text = sanitize_data({"text": "x" * 100_000})["text"]
    assert len(text) == MAX_TEXT
    assert text.endswith("...[cut: 100000 characters]")


def test_deep_nesting_is_left_out_with_a_note() -> None:
    bomb: Any = "core"
    for _ in range(5000):
        bomb = [bomb]
    text = json.dumps(sanitize_data({"bomb": bomb}))
    assert "[left out: nested too deep]" in text
    assert text.count("[") <= MAX_DEPTH + 2


@pytest.mark.parametrize(
    "data",
    [
        lambda: {"many": [0] * 1_000_000},
        lambda: {"many": ["x" * 1000] * 10_000},
        lambda: {str(index): index for index in range(1_000_000)},
        lambda: {"wide": [[{"k": [1] * 50}] * 50] * 1000},
    ],
    ids=["numbers", "texts", "keys", "nested"],
)
def test_total_size_is_bounded_with_a_note(data: Callable[[], dict[str, Any]]) -> None:
    written = canonical(sanitize_data(data()))
    assert len(written) < 4 * MAX_SIZE
    assert b"[left out: the event is too large]" in written


def test_keys_that_become_equal_keep_both_values() -> None:
    assert sorted(sanitize_data({"a\x00": 1, "a\ud800": 2}).values()) == [1, 2]


def test_time_has_one_spelling() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert canonical_time(moment) == "2026-01-02T03:04:05.000000Z"
    assert canonical_time(
        moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    ) == canonical_time(moment)


def test_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="needs its zone"):
        canonical_time(datetime(2026, 1, 2))


def test_labels_are_bounded_and_sanitized() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    made = sealable(
        Event(
            id="evt_1",
            kind=EventKind.ACCESS_REFUSED,
            time=moment,
            actor="person:\x00" + "x" * 9999,
            subject="s",
            data={},
        )
    )
    assert len(made.actor) == MAX_LABEL
    assert "\x00" not in made.actor
