"""How hostile JSON is read: by path, totally, with text that is safe to store, show and compare."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.alert import Alert
from orchestrator.intake.body import JSON
from orchestrator.intake.refusal import NotAnAlert, Unparseable

MAX_TEXT = 4096
MAX_NAME = 255
MAX_TITLE = 1024
MAX_KEY = 512
_MAX_SAFE = 2**53 - 1  # beyond, RFC 8785 (and JavaScript) can't carry an integer

_BLANK = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# Controls would reach terminals; bidirectional overrides would let an attacker reorder what an approver reads.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line, without control and direction characters, at most `limit` characters (cut ones end in an ellipsis)."""
    line = _UNSAFE.sub("\ufffd", _BLANK.sub(" ", text[: limit * 2])).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def identity(*parts: object) -> str:
    r"""A dedup key from parts: `a/b/c`, a `/` inside one of several escaped; one that is too long or not printable is its SHA-256."""
    texts = [str(part) for part in parts]
    key = (
        texts[0]
        if len(texts) == 1
        else "/".join(text.replace("\\", "\\\\").replace("/", "\\/") for text in texts)
    )
    if 0 < len(key) <= MAX_KEY and key == clean(key, MAX_KEY):
        return key
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def fingerprint(value: JSON) -> str:
    """The dedup key of content without an id: SHA-256 of the value with sorted keys. Total, where RFC 8785 refuses 64-bit integers."""
    return f"sha256:{hashlib.sha256(json.dumps(value, sort_keys=True, separators=(',', ':')).encode()).hexdigest()}"


class Reading:
    """A JSON value and the path to it. Optional reads give None for what is absent or of another type; `required_` ones raise Unparseable.

    Keys are taken as they are, one level each: a key with dots in it is one key.
    """

    __slots__ = ("hint", "path", "product", "value")

    def __init__(self, product: str, value: JSON, path: str = "$", hint: str = "") -> None:
        self.product = product
        self.value = value
        self.path = path
        self.hint = hint

    def at(self, *keys: str | int) -> Reading:
        """The value under the keys; a None value where there is none."""
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
        return Reading(self.product, value, path, self.hint)

    def text(self, *keys: str | int, limit: int = MAX_TEXT) -> str | None:
        """Clean text, or None where it is absent, empty or a container. A number is its digits."""
        exact = self.exact(*keys)
        return None if exact is None else clean(exact, limit) or None

    def exact(self, *keys: str | int) -> str | None:
        """The text as it came, neither cleaned nor cut: for identities only, so that two of them never become one."""
        value = self.at(*keys).value
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            return None
        return str(value) if str(value).strip() else None

    def number(self, *keys: str | int) -> float | None:
        """A finite number, also from text such as `"47"`."""
        value = self.at(*keys).value
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            return None
        try:
            number = float(value[:32] if isinstance(value, str) else value)
        except (ValueError, OverflowError):
            return None
        return number if math.isfinite(number) else None

    def integer(self, *keys: str | int, low: int = 0, high: int = _MAX_SAFE) -> int | None:
        """A whole number within the bounds, also from text."""
        number = self.number(*keys)
        return (
            int(number)
            if number is not None and number.is_integer() and low <= number <= high
            else None
        )

    def flag(self, *keys: str | int) -> bool:
        """Whether the value is true, or the text `true`."""
        value = self.at(*keys).value
        return value is True or (isinstance(value, str) and value.strip().lower() == "true")

    def items(self, *keys: str | int, most: int = 256) -> list[Reading]:
        """The first elements of a list; a lone value counts as a list of one; nothing for null."""
        found = self.at(*keys)
        if isinstance(found.value, list):
            return [found.at(index) for index in range(min(len(found.value), most))]
        return [] if found.value is None else [found]

    def texts(self, *keys: str | int) -> list[str]:
        """The texts in a list (or the lone text)."""
        return [text for item in self.items(*keys) if (text := item.text())]

    def required_text(self, *keys: str | int, limit: int = MAX_TEXT) -> str:
        """Clean text. Raises Unparseable where there is none."""
        text = self.text(*keys, limit=limit)
        if text is None:
            raise self.at(*keys).wrong("text")
        return text

    def required_number(self, *keys: str | int) -> float:
        """A finite number. Raises Unparseable where there is none."""
        number = self.number(*keys)
        if number is None:
            raise self.at(*keys).wrong("a number")
        return number

    def required_object(self, *keys: str | int) -> Reading:
        """An object. Raises Unparseable where there is none."""
        found = self.at(*keys)
        if not isinstance(found.value, dict):
            raise found.wrong("an object")
        return found

    def wrong(self, wanted: str) -> Unparseable:
        """The error that says what stands here instead of what was wanted."""
        names = {
            dict: "an object",
            list: "a list",
            str: "text",
            bool: "a boolean",
            int: "a number",
            float: "a number",
        }
        what = (
            "is missing"
            if self.value is None
            else f"is {names[type(self.value)]} where {wanted} was expected"
        )
        if self.value == "":
            what = "is empty"
        return Unparseable(
            f"{self.product}: {clean(self.path, MAX_NAME)} {what}{self.hint and f'; {self.hint}'}"
        )

    def alert(self, fields: dict[str, Any]) -> Alert:
        """The alert that was read from here. Raises Unparseable should a field not fit the normal form."""
        try:
            return Alert(**fields)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise Unparseable(
                f"{self.product}: {self.path} gives no alert: {where} does not fit the normal form"
            ) from error

    def not_an_alert(self, why: str) -> NotAnAlert:
        """The outcome for telemetry that asks for nothing."""
        return NotAnAlert(f"{self.product}: {why}")
