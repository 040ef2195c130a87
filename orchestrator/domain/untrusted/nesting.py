"""Nesting and size of JSON and XML, bounded before a parser recurses or builds values."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 64

# Possessive, and an open string runs to the end, so that any body takes one pass.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_BEGINS = (b",", b"[", b"{")
"""Each begins a value, or a pair of an object; but for the outermost value, nothing else does."""


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


def has_more_values(body: bytes, most: int) -> bool:
    """Return whether a JSON text has more values than this: what it costs is by them, not bytes."""
    if sum(map(body.count, _BEGINS)) <= most:
        return False
    return sum(map(_STRING.sub(b"", body).count, _BEGINS)) > most


def parse_bounded_json(body: bytes) -> Any:
    """Return the JSON value of UTF-8 bytes. Raise ValueError, also for NaN and deep nesting."""
    if is_nested_too_deep(body):
        message = f"nests deeper than {MAX_DEPTH} levels"
        raise ValueError(message)
    return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse)


def _refuse(name: str) -> Any:
    message = f"{name} is not a JSON value"
    raise ValueError(message)
