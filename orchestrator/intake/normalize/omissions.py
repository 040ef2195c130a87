"""What an alert leaves out of its payload: recorded while it is parsed, and said in the alert."""

from __future__ import annotations

from orchestrator.domain.alert import Omission, OmissionReason

MAX_OMISSIONS = 32
"""The maximum number of omissions that an alert names; the last one counts the others."""

_MAX_FIELD = 255
_MAX_VALUE = 120


class Omissions:
    """The omissions of one alert, each once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Omission] = {}
        self._more = 0

    def add(self, field: str, reason: OmissionReason, message: str) -> None:
        """Record one omission. Field and message must be safe to show."""
        key = (field[:_MAX_FIELD], message)
        if key in self._found:
            return
        if len(self._found) >= MAX_OMISSIONS - 1:
            self._more += 1
            return
        self._found[key] = Omission(field=key[0], reason=reason, message=message)

    def add_unreadable(self, field: str, text: str, expected: str) -> None:
        """Record a value that is not of the expected type, such as `an address`."""
        self.add(field, OmissionReason.UNREADABLE, f"{shorten(text)!r} is not {expected}")

    def all(self) -> tuple[Omission, ...]:
        """Return the omissions in the order of their discovery."""
        found = tuple(self._found.values())
        if not self._more:
            return found
        message = f"{self._more} further values are left out"
        return (*found, Omission(field="alert", reason=OmissionReason.LIMIT, message=message))


def shorten(text: str) -> str:
    """Return the beginning of a value, as a message quotes it."""
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"
