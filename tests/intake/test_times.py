"""Times of products are parsed, and impossible ones replaced by the time of receipt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.intake.normalize.times import parse_time
from tests.harness.intake_samples import NOW


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (
            "2018-03-24T14:37:19.037299-0600",
            datetime(2018, 3, 24, 20, 37, 19, 37299, UTC),
        ),  # Suricata
        (
            "2025-02-25 20:40:06.721",
            datetime(2025, 2, 25, 20, 40, 6, 721000, UTC),
        ),  # GuardDuty through a database
        ("2025-02-25 20:40:06.000000000", datetime(2025, 2, 25, 20, 40, 6, 0, UTC)),
        (
            "2025-02-03T21:41:42.853014+01.00",
            datetime(2025, 2, 3, 20, 41, 42, 853014, UTC),
        ),  # Wazuh, by hand
        (
            "2026-11-24T11:55:00.123456789Z",
            datetime(2026, 11, 24, 11, 55, 0, 123456, UTC),
        ),  # Alertmanager, Falco
        (
            "2021-01-26T20:33:57.7220239Z",
            datetime(2021, 1, 26, 20, 33, 57, 722023, UTC),
        ),  # Microsoft
        ("2024-06-19 11:42:41 (UTC)", datetime(2024, 6, 19, 11, 42, 41, 0, UTC)),  # Thinkst Canary
        ("2021-09-18 20:38:52Z", datetime(2021, 9, 18, 20, 38, 52, 0, UTC)),  # CrowdStrike
        ("2020-10-02T17:09:08+05:30", datetime(2020, 10, 2, 11, 39, 8, 0, UTC)),
        ("2020-10-02T17:09:08+02", datetime(2020, 10, 2, 15, 9, 8, 0, UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 0, UTC)),  # a leap second
        (1739539623, datetime(2025, 2, 14, 13, 27, 3, 0, UTC)),
        (1739539623.5, datetime(2025, 2, 14, 13, 27, 3, 500000, UTC)),
        (1616609989000, datetime(2021, 3, 24, 18, 19, 49, 0, UTC)),
        (1739539623000000, datetime(2025, 2, 14, 13, 27, 3, 0, UTC)),
        (1739539623000000000, datetime(2025, 2, 14, 13, 27, 3, 0, UTC)),
        ("1739539623", datetime(2025, 2, 14, 13, 27, 3, 0, UTC)),
        ("1739539623.25", datetime(2025, 2, 14, 13, 27, 3, 250000, UTC)),
    ],
)
def test_time_is_parsed_to_the_microsecond_in_utc(written: str | float, meant: datetime) -> None:
    assert parse_time(written, NOW) == meant


@pytest.mark.parametrize(
    "written",
    [
        *(
            None,
            True,
            "",
            "yesterday",
            [],
            {},
            "2026-13-01T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T25:00:00Z",
        ),
        *(
            "0001-01-01T00:00:00Z",
            "1970-01-01 00:00:00Z",
            "2026-01-01T00:00:00+99:99",
            "9999-12-31T23:59:59-12:00",
            0,
            -1,
            10**30,
            1e308,
        ),
        *(
            float("nan"),
            float("inf"),
            "2026-01-01T00:00:00Z" + " " * 100,
            "２０２６-01-01T00:00:00Z",
        ),
    ],
)
def test_impossible_time_is_the_time_of_receipt(written: object) -> None:
    assert parse_time(written, NOW) == NOW  # type: ignore[arg-type]


def test_clock_may_be_at_most_a_day_ahead() -> None:
    ahead = NOW + timedelta(hours=23)
    assert parse_time(ahead.isoformat(), NOW) == ahead
    assert parse_time((NOW + timedelta(hours=25)).isoformat(), NOW) == NOW


@given(
    st.text()
    | st.floats()
    | st.integers()
    | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d{1,12})?(Z|[+-]\d\d:?\d\d)?")
)
def test_any_value_yields_an_aware_time_in_utc(written: str | float) -> None:
    found = parse_time(written, NOW)
    assert found.utcoffset() == timedelta(0)
