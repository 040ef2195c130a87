"""Text that others write, made safe to store and to show."""

from __future__ import annotations

import re
from typing import Any

MAX_TEXT = 4096

_BLANK = re.compile(r"[\t\n\r\x0b\x0c\x85\u2028\u2029]+")
# Control characters would reach terminals. Bidirectional overrides would let an attacker reorder
# what an approver reads.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def sanitize(text: str, limit: int = MAX_TEXT) -> str:
    """Return the text as one line of at most `limit` characters, without control characters.

    Text that is cut ends in an ellipsis.
    """
    line = _UNSAFE.sub("\ufffd", _BLANK.sub(" ", text[: limit * 2])).strip()
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def clean_text(value: Any) -> Any:
    """Return a JSON value of another system whose texts are cleaned as those of alerts are."""
    match value:
        case str():
            return _UNSAFE.sub("\ufffd", _BLANK.sub(" ", value))
        case list():
            return [clean_text(item) for item in value]
        case dict():
            return {key: clean_text(item) for key, item in value.items()}
        case _:
            return value
