"""Masking of what is shown: entries whose names look like secrets, and sealed answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "**********"
SEALED = "sealed:1:"
"""Begins a secret answer of a form, which is encrypted wherever it goes."""
_SEALED = re.compile(rf"{SEALED}[A-Za-z0-9+/=]+")
_SECRET = re.compile(
    r"pass(word|wd|phrase|code)?$|secret|token$|api_?key|private_?key|access_?key|authori[sz]ation|credential|cookie|bearer|^pin$|^otp$",
    re.IGNORECASE,
)
_MAX_DEPTH = 40


def is_secret_name(key: str) -> bool:
    """Return whether a key names a secret."""
    return _SECRET.search(key) is not None


def mask_secrets(value: Any, depth: int = 0) -> Any:
    """Return the JSON value with each entry masked whose key names a secret, or that is sealed."""
    if depth > _MAX_DEPTH:
        return MASK
    match value:
        case Mapping():
            return {
                key: MASK
                if is_secret_name(str(key)) and item is not None
                else mask_secrets(item, depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [mask_secrets(item, depth + 1) for item in value]
        case str() if SEALED in value:
            return _SEALED.sub(MASK, value)
        case _:
            return value
