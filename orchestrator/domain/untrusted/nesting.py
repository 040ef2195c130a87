"""Nesting of JSON and XML, bounded before a parser recurses."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 64

# Possessive, and an open string runs to the end, so that any body takes one pass.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def is_nested_too_deep(body: bytes) -> bool:
    """Return whether a JSON text nests deeper than MAX_DEPTH."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", body)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def parse_bounded_json(body: bytes) -> Any:
    """Return the JSON value of UTF-8 bytes. Raise ValueError, also for NaN and deep nesting."""
    if is_nested_too_deep(body):
        message = f"nests deeper than {MAX_DEPTH} levels"
        raise ValueError(message)
    return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)


def _refuse(name: str) -> Any:
    message = f"{name} is not a JSON value"
    raise ValueError(message)
