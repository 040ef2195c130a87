"""Sanitizing of event data into JSON that every database and every JSON parser return unchanged.

It is applied once, when an event is made. Whatever it leaves out is replaced by a note.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretStr

from orchestrator.domain.audit_batch import EXACT
from orchestrator.domain.audit_event import Event, canonical_time

MAX_DEPTH = 24
MAX_TEXT = 16 * 1024
"""The maximum length of one string in characters."""
MAX_SIZE = 256 * 1024
"""The maximum size of one event's data, characters and items together."""
MAX_LABEL = 512
"""The maximum length of a key, an actor, a subject or an id in characters."""

_MAX_BITS = 4096
# NUL cannot be stored in PostgreSQL; a lone surrogate cannot be written as UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CUT = "...[cut: {} characters]"
_OVERSIZE = "[left out: the event is too large]"


def sealable(event: Event) -> Event:
    """Return the event as it may be stored and sealed: sanitized data, bounded labels, UTC time."""
    return Event(
        id=_text(event.id, MAX_LABEL),
        kind=event.kind,
        time=event.time.astimezone(UTC),
        actor=_text(event.actor, MAX_LABEL),
        subject=_text(event.subject, MAX_LABEL),
        data=sanitize_data(event.data),
    )


def sanitize_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data as JSON with the same canonical form (RFC 8785) before and after any store.

    Integers beyond 2^53, floats without a short exact form, and times become strings. NUL and lone
    surrogates become U+FFFD. Secrets are masked. Depth (24), string length (16 Ki) and total size
    (256 Ki) are bounded, with a note in place of what is left out.
    """
    return _Sanitizer().mapping(data, depth=1)


class _Sanitizer:
    """One walk over one event's data, with what remains of its size."""

    def __init__(self) -> None:
        self._left = MAX_SIZE

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for key, item in value.items():
            if self._left <= 0:
                clean["..."] = _OVERSIZE
                break
            name = _free_key(_text(str(key), MAX_LABEL), clean)
            self._left -= len(name) + 1
            clean[name] = self.value(item, depth + 1)
        return clean

    def value(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            return "[left out: nested too deep]"
        match value:
            case Mapping():
                return self.mapping(value, depth)
            case BaseModel():
                return self.mapping(dict(value), depth)
            case set() | frozenset():
                return self._items(sorted(value, key=repr), depth)
            case list() | tuple():
                return self._items(value, depth)
            case _:
                return self._scalar(value)

    def _items(self, values: Iterable[Any], depth: int) -> list[Any]:
        clean: list[Any] = []
        for item in values:
            if self._left <= 0:
                clean.append(_OVERSIZE)
                break
            self._left -= 1
            clean.append(self.value(item, depth + 1))
        return clean

    def _scalar(self, value: Any) -> Any:
        clean = _scalar(value)
        if isinstance(clean, str):
            if len(clean) > max(self._left, len(_OVERSIZE)):
                clean = _OVERSIZE
            self._left -= len(clean)
        return clean


def _scalar(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case Enum():
            return _scalar(value.value)
        case int():
            return _integer(int(value))
        case float():
            return _number(float(value))
        case _:
            return _text(_to_text(value), MAX_TEXT)


def _to_text(value: Any) -> str:
    match value:
        case datetime() if value.tzinfo is not None:
            return canonical_time(value)
        case str() | date() | Decimal() | UUID() | IPv4Address() | IPv6Address() | timedelta():
            return str(value)
        case SecretStr():
            return "**********"
        case bytes() | bytearray():
            return f"[{len(value)} bytes]"
        case _:
            return f"[{type(value).__name__}]"  # its text may hold a secret


def _integer(value: int) -> int | str:
    if abs(value) <= EXACT:
        return value
    return (
        str(value)
        if value.bit_length() <= _MAX_BITS
        else f"[an integer of {value.bit_length()} bits]"
    )


def _number(value: float) -> float | int | str:
    if not math.isfinite(value) or abs(value) > EXACT:
        return repr(value)
    return int(value) if value.is_integer() else value


def _text(text: str, limit: int) -> str:
    clean = _UNSTORABLE.sub("\ufffd", text)
    if len(clean) <= limit:
        return clean
    mark = _CUT.format(len(clean))
    return clean[: limit - len(mark)] + mark


def _free_key(name: str, taken: Mapping[str, Any]) -> str:
    """Return a free key, so that two keys that became equal keep both values."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}~{number}", number + 1
    return free
