"""Durations as authors write them: `90s`, `15m`, `24h`, `7d`, `1h30m`. Whole seconds inside."""

from __future__ import annotations

import re

from orchestrator.domain.errors import Invalid

PATTERN = r"^(?=[0-9])([0-9]{1,12}d)?([0-9]{1,12}h)?([0-9]{1,12}m)?([0-9]{1,12}s)?$"
LONGEST = 10 * 366 * 86_400
"""The longest duration in seconds, of leases and everything else: ten years."""

_DURATION = re.compile(PATTERN, re.ASCII)
_SECONDS = (86_400, 3_600, 60, 1)


def parse_duration(value: object) -> int:
    """Return whole seconds, at least 1, of a duration or of a number of seconds. Raises Invalid."""
    if isinstance(value, str) and (match := _DURATION.match(value)) and match.end() == len(value):
        seconds = sum(
            int(part[:-1]) * unit
            for part, unit in zip(match.groups(), _SECONDS, strict=True)
            if part
        )
    elif isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, float) and value.is_integer():
        seconds = int(value)
    else:
        message = f"{repr(value)[:60]} is not a duration; write it like 90s, 15m, 24h, 7d or 1h30m"
        raise Invalid(message)
    if seconds < 1:
        message = f"a duration of {seconds} seconds; it must be at least 1s"
        raise Invalid(message)
    if seconds > LONGEST:
        given = repr(value)[:60] if isinstance(value, str) else f"a duration of {seconds} seconds"
        message = f"{given} is too long; the longest duration is {format_duration(LONGEST)}"
        raise Invalid(message)
    return seconds


def format_duration(seconds: int) -> str:
    """Return seconds as an author writes them: `1h30m`, `24h`, `7d`; 0 is `0s`."""
    whole_days = seconds >= 2 * _SECONDS[0] and seconds % _SECONDS[0] == 0
    left, parts = seconds, ""
    for unit, letter in zip(_SECONDS, "dhms", strict=True):
        if letter != "d" or whole_days:
            count, left = divmod(left, unit)
            parts += f"{count}{letter}" if count else ""
    return parts or "0s"
