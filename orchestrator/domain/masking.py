"""What is shown of inputs and results: all but what looks like a secret by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "**********"
_SECRET = re.compile(
    r"pass(word|wd|phrase|code)?$|secret|token$|api_?key|private_?key|access_?key|authori[sz]ation|credential|cookie|bearer|^pin$|^otp$",
    re.IGNORECASE,
)
_DEPTH = 40


def names_a_secret(key: str) -> bool:
    """Whether what stands under this key is a secret by its name."""
    return _SECRET.search(key) is not None


def masked(value: Any, depth: int = 0) -> Any:
    """The JSON value with each entry masked whose key looks like a secret's; nothing in it is changed otherwise."""
    if depth > _DEPTH:
        return MASK
    match value:
        case Mapping():
            return {
                key: MASK
                if names_a_secret(str(key)) and item is not None
                else masked(item, depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [masked(item, depth + 1) for item in value]
        case _:
            return value
