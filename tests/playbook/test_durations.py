"""Durations as authors write them, and as expressions yield them."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import LONGEST, format_duration, parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("7d", 604_800),
        ("1h30m", 5_400),
        ("1d1h1m1s", 90_061),
        (60, 60),
        (60.0, 60),
    ],
)
def test_a_duration_is_whole_seconds(value: object, seconds: int) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        "1w",
        "1:20",
        "m",
        "30m1h",
        "1h 30m",
        "-1s",
        "1.5h",
        "\u0661s",
        "1s\n",
        0,
        -1,
        1.5,
        True,
        None,
        [],
        "0s",
        "99999d",
        LONGEST + 1,
    ],
)
def test_invalid_duration_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        parse_duration(value)


@settings(deadline=None)
@given(st.text(max_size=20) | st.integers() | st.floats())
def test_anything_is_a_bounded_duration_or_refused(value: object) -> None:
    with contextlib.suppress(Invalid):
        assert 1 <= parse_duration(value) <= LONGEST


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "1m30s"), (5_400, "1h30m"), (86_400, "24h"), (604_800, "7d"), (90_000, "25h"), (0, "0s")],
)
def test_duration_is_formatted_as_authors_write_it(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


@settings(deadline=None)
@given(st.integers(min_value=1, max_value=LONGEST))
def test_formatted_duration_parses_to_the_same(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
