"""Durations: what is written, and what an expression yields for one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import LONGEST, duration, spelled


@pytest.mark.parametrize(
    ("written", "seconds"),
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
def test_a_duration_is_whole_seconds(written: object, seconds: int) -> None:
    assert duration(written) == seconds


@pytest.mark.parametrize(
    "written",
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
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(Invalid):
        duration(written)


@given(st.text(max_size=20) | st.integers() | st.floats())
def test_anything_is_a_bounded_duration_or_refused(written: object) -> None:
    with contextlib.suppress(Invalid):
        assert 1 <= duration(written) <= LONGEST


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(90, "1m30s"), (5_400, "1h30m"), (86_400, "24h"), (604_800, "7d"), (90_000, "25h"), (0, "0s")],
)
def test_it_is_told_as_an_author_would_write_it(seconds: int, said: str) -> None:
    assert spelled(seconds) == said


@given(st.integers(min_value=1, max_value=LONGEST))
def test_what_is_told_reads_back(seconds: int) -> None:
    assert duration(spelled(seconds)) == seconds
