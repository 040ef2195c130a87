"""Strict, bounded parsing of a JSON body from an untrusted sender.

Refused are bodies that are too large (413); not UTF-8, not JSON, with NaN or Infinity, or nested
too deep (400); and those with a duplicate key or a number beyond 64 bits (422), which two parsers
would understand differently. A UTF-8 byte order mark is skipped, as RFC 8259 allows. NUL and lone
surrogates, which no database stores, become U+FFFD in the parsed value. The raw bytes stay
unchanged.
"""

from __future__ import annotations

import json
import math
import re
from typing import TypeAlias

from orchestrator.domain.errors import Invalid
from orchestrator.domain.untrusted.nesting import MAX_DEPTH, is_nested_too_deep

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"

DEFAULT_LIMIT = 1024 * 1024
"""The maximum size in bytes, unless configured otherwise."""

_INTEGERS = range(-(2**63), 2**64)
_MAX_DIGITS = 20  # of a 64-bit integer, with its sign

_ESCAPED_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class BodyRefused(Invalid):
    """A body that is not parsed."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        """The HTTP status: 400, 413 or 422."""
        self.reason = reason
        """The sentence for the sender."""


def parse_json(body: bytes, limit_bytes: int = DEFAULT_LIMIT) -> JSON:
    """Return the JSON value in the body. Raise BodyRefused, and nothing else."""
    if len(body) > limit_bytes:
        raise BodyRefused(413, f"the body has {len(body)} bytes; the limit is {limit_bytes}")
    text = _decode(body.removeprefix(b"\xef\xbb\xbf"))
    if is_nested_too_deep(body):
        raise BodyRefused(400, f"the body nests deeper than {MAX_DEPTH} levels")
    value = _load(text)
    return _storable(value) if _ESCAPED_UNSTORABLE.search(body) else value


def _decode(body: bytes) -> str:
    if not body.strip():
        raise BodyRefused(400, "the body is empty; send a JSON value")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyRefused(400, f"the body is not UTF-8: byte {error.start} is invalid") from error


def _load(text: str) -> JSON:
    try:
        value: JSON = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise BodyRefused(
            400, f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    return value


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        duplicate = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BodyRefused(
            422,
            f"the key {duplicate[:64]!a} occurs twice in one object; send it once",
        )
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or int(digits) not in _INTEGERS:
        raise BodyRefused(422, f"the number {digits[:24]} does not fit into 64 bits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise BodyRefused(422, f"the number {digits[:24]} is beyond what a double can hold")
    return value


def _constant(name: str) -> float:
    raise BodyRefused(400, f"the body is not JSON: {name} is not a JSON value")


def _storable(value: JSON) -> JSON:
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case list():
            return [_storable(item) for item in value]
        case dict():
            return _unique(
                [(_UNSTORABLE.sub("\ufffd", key), _storable(item)) for key, item in value.items()]
            )
        case _:
            return value
