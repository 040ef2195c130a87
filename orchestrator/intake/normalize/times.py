"""Times of alerts: parses what products write into aware UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone

from orchestrator.intake.body import JSON
from orchestrator.intake.normalize.json_cursor import JsonCursor

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?\s*"
    r"(?:(Z|UTC|\(UTC\))|([+-])(\d\d)[:.]?(\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = re.compile(r"\d{9,20}(\.\d{1,9})?", re.ASCII)
_UNITS = (
    (1e11, 1),
    (1e14, 1e3),
    (1e17, 1e6),
    (1e20, 1e9),
)  # seconds, milli-, micro-, nanoseconds: by size
_MAX_TEXT = 64
_LEAP = 60  # a leap second belongs to the minute that it ends
_EARLIEST = datetime(
    1990, 1, 1, tzinfo=UTC
)  # earlier ones are zero dates such as 0001-01-01 or 1970-01-01, which mean "unknown"
_MAX_AHEAD = timedelta(days=1)  # a clock that is further ahead is wrong


def parse_time(value: JSON, now: datetime) -> datetime:
    """Return the time that a product wrote, or `now` where it is absent or impossible.

    Understands ISO 8601 with `T` or a blank, any fraction, `Z`, `+0200`, `+02:00`, `+02.00` or no
    zone (then UTC), and epoch numbers in seconds, milli-, micro- or nanoseconds.
    """
    try:
        found = _parse(value)
    except (ValueError, OverflowError):
        return now
    return found if found and _EARLIEST <= found <= now + _MAX_AHEAD else now


def read_time(now: datetime, *cursors: JsonCursor) -> datetime:
    """Return the first time at the cursors, or `now` where there is none.

    A value that is not a time, or is more than a day ahead, is an omission of the alert. A zero
    date such as `0001-01-01` means "unknown" and is none.
    """
    return next((time for cursor in cursors if (time := _time_at(cursor, now))), now)


def _time_at(cursor: JsonCursor, now: datetime) -> datetime | None:
    text = cursor.text()
    if text is None:
        return None
    try:
        found = _parse(cursor.value)
    except (ValueError, OverflowError):
        found = None
    if found is None or found > now + _MAX_AHEAD:
        expected = "a time" if found is None else "a time of today or before"
        cursor.omissions.add_unreadable(cursor.path, text, expected)
        return None
    return found if found >= _EARLIEST else None


def canonical_moment(text: str) -> str:
    """Return ISO 8601 text with date and time in UTC, with all digits of its fraction.

    Any other text stays as it is.
    """
    match = _ISO.fullmatch(text.strip()) if len(text) <= _MAX_TEXT else None
    if match is None:
        return text
    try:
        moment = _iso(*match.groups())
    except (ValueError, OverflowError):
        return text
    fraction = (match[7] or "").rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction and f'.{fraction}'}Z"


def _parse(value: JSON) -> datetime | None:
    match value:
        case bool() | None:
            return None
        case int() | float():
            return _epoch(float(value))
        case str() if len(value) <= _MAX_TEXT and _EPOCH.fullmatch(value.strip()):
            return _epoch(float(value))
        case str() if len(value) <= _MAX_TEXT and (match := _ISO.fullmatch(value.strip())):
            return _iso(*match.groups())
    return None


def _epoch(number: float) -> datetime | None:
    if not math.isfinite(number):
        return None
    unit = next((unit for below, unit in _UNITS if abs(number) < below), None)
    return datetime.fromtimestamp(number / unit, UTC) if unit else None


def _iso(*parts: str | None) -> datetime:
    *date, fraction, _, sign, hours, minutes = parts
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (
        -1 if sign == "-" else 1
    )
    year, month, day, hour, minute, second = (int(part or 0) for part in date)
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    second = 59 if second == _LEAP else second
    return datetime(
        year, month, day, hour, minute, second, microsecond, timezone(offset)
    ).astimezone(UTC)
