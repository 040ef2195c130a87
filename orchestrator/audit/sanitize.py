"""What may stand in an event: values that every database and every JSON reader give back exactly as they were.

Applied once, when the event is made; whatever is left out afterwards is said in place, never silently.
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
"""Characters of one string."""
MAX_SIZE = 256 * 1024
"""Characters and items of one event's data, all told."""
MAX_LABEL = 512
"""Characters of a key, an actor, a subject, an id."""

_MAX_BITS = 4096
# NUL cannot be stored in PostgreSQL; a lone surrogate cannot be written as UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CUT = "...[cut: {} characters]"
_OVER = "[left out: the event is over its size]"


def sealable(event: Event) -> Event:
    """The event as it may be stored and sealed: safe data, bounded labels, time in UTC."""
    return Event(
        id=_text(event.id, MAX_LABEL),
        kind=event.kind,
        time=event.time.astimezone(UTC),
        actor=_text(event.actor, MAX_LABEL),
        subject=_text(event.subject, MAX_LABEL),
        data=audit_safe(event.data),
    )


def audit_safe(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as JSON that survives any store: RFC 8785 gives the same bytes before and after.

    Integers beyond 2^53 and floats that have no short exact form become strings, as do times; NUL and lone surrogates become
    U+FFFD; secrets are masked; depth (24), string length (16 Ki) and the whole (256 Ki) are bounded, with a note in place.
    """
    return _Cleaner().mapping(data, depth=1)


class _Cleaner:
    """One walk over one event's data, with what is left of its size."""

    def __init__(self) -> None:
        self._left = MAX_SIZE

    def mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        clean: dict[str, Any] = {}
        for key, item in value.items():
            if self._left <= 0:
                clean["..."] = _OVER
                break
            name = _free(_text(str(key), MAX_LABEL), clean)
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
                clean.append(_OVER)
                break
            self._left -= 1
            clean.append(self.value(item, depth + 1))
        return clean

    def _scalar(self, value: Any) -> Any:
        clean = _scalar(value)
        if isinstance(clean, str):
            if len(clean) > max(self._left, len(_OVER)):
                clean = _OVER
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
            return _text(_said(value), MAX_TEXT)


def _said(value: Any) -> str:
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
            return f"[{type(value).__name__}]"  # not known to be harmless to print


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


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Two keys that became one by cleaning keep both values."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}~{number}", number + 1
    return free
