"""A cursor over hostile JSON that reads by path and yields text that is safe to store and show."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.alert import Alert, OmissionReason
from orchestrator.domain.untrusted.text import MAX_TEXT, sanitize
from orchestrator.intake.body import JSON
from orchestrator.intake.errors import NotAnAlert, Unparseable
from orchestrator.intake.normalize.omissions import Omissions

MAX_NAME = 255
MAX_TITLE = 1024
MAX_KEY = 512
_MAX_SAFE = 2**53 - 1  # beyond, RFC 8785 (and JavaScript) can't carry an integer


class FieldText(str):
    """Text of a payload that knows the path it was read from."""

    __slots__ = ("path",)

    path: str


class JsonCursor:
    """A JSON value and the path to it.

    Optional reads return None where a value is absent or of another type; `required_` ones raise
    Unparseable. A key is one level, even with dots in it.
    """

    __slots__ = ("hint", "omissions", "path", "product", "value")

    def __init__(
        self,
        product: str,
        value: JSON,
        path: str = "$",
        hint: str = "",
        omissions: Omissions | None = None,
    ) -> None:
        self.product = product
        self.value = value
        self.path = path
        self.hint = hint
        self.omissions = omissions or Omissions()
        """What the alert that is read from here leaves out; shared by all cursors below."""

    def fork(self) -> JsonCursor:
        """Return the same cursor with omissions of its own, for one alert of several."""
        return JsonCursor(self.product, self.value, self.path, self.hint)

    def at(self, *keys: str | int) -> JsonCursor:
        """Return the value under the keys, a cursor on None where it does not exist."""
        value: JSON = self.value
        path = self.path
        for key in keys:
            path += f"[{key}]" if isinstance(key, int) else f".{key}"
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int):
                value = value[key] if -len(value) <= key < len(value) else None
            else:
                value = None
        return JsonCursor(self.product, value, path, self.hint, self.omissions)

    def text(self, *keys: str | int, limit: int = MAX_TEXT) -> str | None:
        """Return sanitized text, or None where it is absent, empty or a container.

        A number becomes its digits.
        """
        found = self.at(*keys)
        exact = found.exact()
        if exact is None or not (clean := sanitize(exact, limit)):
            return None
        text = FieldText(clean)
        text.path = sanitize(found.path, MAX_NAME)
        return text

    def exact(self, *keys: str | int) -> str | None:
        """Return the text unchanged, for dedup keys only, so that two never become one."""
        value = self.at(*keys).value
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        return str(value) if str(value).strip() else None

    def number(self, *keys: str | int) -> float | None:
        """Return a finite number, also from text such as `"47"`."""
        value = self.at(*keys).value
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            number = float(value[:32] if isinstance(value, str) else value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def integer(self, *keys: str | int, low: int = 0, high: int = _MAX_SAFE) -> int | None:
        """Return a whole number within the bounds, also from text."""
        number = self.number(*keys)
        return (
            int(number)
            if number is not None and number.is_integer() and low <= number <= high
            else None
        )

    def flag(self, *keys: str | int) -> bool:
        """Return whether the value is true, or the text `true`."""
        value = self.at(*keys).value
        return value is True or (isinstance(value, str) and value.strip().lower() == "true")

    def items(self, *keys: str | int, most: int = 256) -> list[JsonCursor]:
        """Return the first elements of a list.

        A single value counts as a list of one, null as an empty list. More than `most` elements
        are an omission of the alert.
        """
        found = self.at(*keys)
        if isinstance(found.value, list):
            if len(found.value) > most:
                self.omissions.add(
                    sanitize(found.path, MAX_NAME),
                    OmissionReason.LIMIT,
                    f"{most} of {len(found.value)} items read",
                )
            return [found.at(index) for index in range(min(len(found.value), most))]
        return [] if found.value is None else [found]

    def texts(self, *keys: str | int, most: int = 256) -> list[str]:
        """Return the texts in a list, or the single text."""
        return [text for item in self.items(*keys, most=most) if (text := item.text())]

    def required_text(self, *keys: str | int, limit: int = MAX_TEXT) -> str:
        """Return sanitized text. Raise Unparseable without it."""
        text = self.text(*keys, limit=limit)
        if text is None:
            raise self.at(*keys).wrong("text")
        return text

    def required_number(self, *keys: str | int) -> float:
        """Return a finite number. Raise Unparseable without it."""
        number = self.number(*keys)
        if number is None:
            raise self.at(*keys).wrong("a number")
        return number

    def required_object(self, *keys: str | int) -> JsonCursor:
        """Return an object. Raise Unparseable without it."""
        found = self.at(*keys)
        if not isinstance(found.value, dict):
            raise found.wrong("an object")
        return found

    def wrong(self, expected: str) -> Unparseable:
        """Return the error that names what is here instead of what was expected."""
        names = {
            dict: "an object",
            list: "a list",
            str: "text",
            bool: "a boolean",
            int: "a number",
            float: "a number",
        }
        problem = (
            "is missing"
            if self.value is None
            else f"is {names[type(self.value)]} where {expected} was expected"
        )
        if self.value == "":
            problem = "is empty"
        return Unparseable(
            f"{self.product}: {sanitize(self.path, MAX_NAME)} {problem}"
            f"{self.hint and f'; {self.hint}'}"
        )

    def alert(self, fields: dict[str, Any]) -> Alert:
        """Return the alert with these fields, and what it leaves out.

        Raise Unparseable where a field does not fit the normal form.
        """
        try:
            return Alert(**fields, incomplete=self.omissions.all())
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Unparseable(
                f"{self.product}: {self.path}: {where} does not fit the normal form of an alert"
            ) from error

    def not_an_alert(self, why: str) -> NotAnAlert:
        """Return the outcome for telemetry that is not an alert."""
        return NotAnAlert(f"{self.product}: {why}")
