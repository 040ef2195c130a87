"""How a length of time is written: `90s`, `15m`, `24h`, `7d`, `1h30m`; whole seconds inside."""

from __future__ import annotations

import re

from orchestrator.domain.errors import Invalid

PATTERN = r"^(?=[0-9])([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?$"
LONGEST = 10 * 366 * 86_400  # ten years: beyond it, somebody mistyped

_WRITTEN = re.compile(PATTERN, re.ASCII)
_SECONDS = (86_400, 3_600, 60, 1)


def duration(value: object) -> int:
    """Whole seconds, at least 1, of a written duration or of a number of seconds. Raises Invalid with the mend."""
    if (
        isinstance(value, str)
        and (written := _WRITTEN.match(value))
        and written.end() == len(value)
    ):
        seconds = sum(
            int(part[:-1]) * unit
            for part, unit in zip(written.groups(), _SECONDS, strict=True)
            if part
        )
    elif isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, float) and value.is_integer():
        seconds = int(value)
    else:
        message = f"{repr(value)[:60]} is not a duration; write such as 90s, 15m, 24h, 7d or 1h30m"
        raise Invalid(message)
    if not 1 <= seconds <= LONGEST:
        message = f"a duration of {seconds} seconds; it has to be from 1s to ten years"
        raise Invalid(message)
    return seconds


def spelled(seconds: int) -> str:
    """As an author would write it: `1h30m`, `24h`, `7d`; 0 is `0s`."""
    whole_days = seconds >= 2 * _SECONDS[0] and seconds % _SECONDS[0] == 0
    left, parts = seconds, ""
    for unit, letter in zip(_SECONDS, "dhms", strict=True):
        if letter != "d" or whole_days:
            count, left = divmod(left, unit)
            parts += f"{count}{letter}" if count else ""
    return parts or "0s"
