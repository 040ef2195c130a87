"""The functions behind the filters of the expression language: plain JSON in, plain JSON out."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from typing import Any

from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.playbook.language.values import (
    MAX_ITEMS,
    MAX_TEXT,
    Json,
    check_number,
    check_text,
    is_equal,
    is_less,
    is_number,
    json_text,
    text,
)
from orchestrator.playbook.patterns import PatternInvalid, is_found, states

_VISITS = 512  # of states by characters that are one step: few patterns need all their states


def lower(value: str) -> str:
    """Return the text in lower case."""
    return check_text(value.lower())


def upper(value: str) -> str:
    """Return the text in upper case."""
    return check_text(value.upper())


def trim(value: str) -> str:
    """Return the text without surrounding white space."""
    return value.strip()


def truncate(value: str, most: int) -> str:
    """Return the text, shortened with an ellipsis to at most that many characters."""
    if most < 1:
        message = "`truncate` to less than one character"
        raise ExpressionError(message, "write a length of at least 1")
    return value if len(value) <= most else f"{value[: most - 1].rstrip()}…"


def matches(value: str, pattern: str) -> bool:
    """Whether the pattern is found in the text."""
    try:
        return is_found(pattern, value)
    except PatternInvalid as error:
        raise ExpressionError(error.message, error.fix) from error


def search_work(value: str, pattern: str) -> int:
    """Return the steps of a search: a pattern with many states visits each for every character."""
    try:
        return len(value) * states(pattern) // _VISITS
    except PatternInvalid as error:
        raise ExpressionError(error.message, error.fix) from error


def duration(value: str) -> int:
    """Return the seconds of a duration, such as `2h`."""
    try:
        return parse_duration(value)
    except Invalid as error:
        raise ExpressionError(str(error)) from error


def length(value: Any) -> int:
    """Return the number of characters, items or keys."""
    return len(value)


def join(value: list[Json], separator: str = ", ") -> str:
    """Return the texts of all items in one."""
    parts = [text(item) for item in value[: MAX_ITEMS + 1]]
    if len(value) > MAX_ITEMS or sum(map(len, parts)) + len(separator) * len(
        parts
    ) > MAX_TEXT + len(separator):
        message = f"`join` yields more than {MAX_TEXT} characters"
        raise ExpressionError(message, "join fewer items")
    return separator.join(parts)


def first(value: list[Json]) -> Json:
    """Return the first item, or null."""
    return value[0] if value else None


def last(value: list[Json]) -> Json:
    """Return the last item, or null."""
    return value[-1] if value else None


def unique(value: list[Json]) -> list[Json]:
    """Return the items without repeats, in order of first appearance."""
    return list({json_text(item): item for item in reversed(value)}.values())[::-1]


def sort(value: list[Json]) -> list[Json]:
    """Return the items in order. Raises ExpressionError unless all are numbers or all texts."""
    for one, other in pairwise(value):
        is_less(one, other)  # raises for a mix of numbers and texts
    return sorted(value)


def map_field(value: list[Json], attribute: str) -> list[Json]:
    """Return one field of each item."""
    return [_field(item, attribute) for item in value]


def where(value: list[Json], attribute: str, wanted: Json) -> list[Json]:
    """Return the items whose field equals the value."""
    return [item for item in value if is_equal(_field(item, attribute), wanted)]


def _field(item: Json, name: str) -> Json:
    """Return a field, or the one at a path `a.b`; what is looked up in null is null."""
    found = item
    for place, part in enumerate(name.split(".")):
        if found is None and place:
            return None
        if not isinstance(found, dict) or part not in found:
            message = f"an item of the list has no {name!r}"
            raise ExpressionError(message)
        found = found[part]
    return found


def to_int(value: Json) -> int:
    """Return a number without its fraction, or the number that a text spells."""
    if is_number(value):
        return int(check_number(int(check_number(value))))
    digits = value.strip()
    if not (digits.isascii() and digits.removeprefix("-").isdigit()) or len(digits) > 17:
        message = "`int` of a text that is not a whole number"
        raise ExpressionError(message)
    return int(check_number(int(digits)))


def round_number(value: float, digits: int = 0) -> int | float:
    """Return the number rounded half to even."""
    if not 0 <= digits <= 10:
        message = "`round` takes 0 to 10 digits"
        raise ExpressionError(message)
    return check_number(
        round(check_number(value), digits) if digits else round(check_number(value))
    )


def replace(value: str, old: str, new: str) -> str:
    """Return the text with each `old` replaced by `new`."""
    if not old:
        message = "`replace` of an empty text"
        raise ExpressionError(message)
    if len(value) + value.count(old) * (len(new) - len(old)) > MAX_TEXT:
        message = f"`replace` yields more than {MAX_TEXT} characters"
        raise ExpressionError(message)
    return value.replace(old, new)


def split(value: str, separator: str) -> list[str]:
    """Return the parts of the text between separators."""
    if not separator:
        message = "`split` at an empty text"
        raise ExpressionError(message)
    if value.count(separator) >= MAX_ITEMS:
        message = f"`split` yields more than {MAX_ITEMS} parts"
        raise ExpressionError(message)
    return value.split(separator)


def in_network(value: str, network: str) -> bool:
    """Whether the address lies in the network."""
    try:
        return ipaddress.ip_address(value) in ipaddress.ip_network(network, strict=False)
    except ValueError as error:
        message = "`in_network` takes an address and a network, such as 10.0.0.0/8"
        raise ExpressionError(message) from error


def default(value: Json, otherwise: Json) -> Json:
    """Return `otherwise` for null, and any other value unchanged."""
    return otherwise if value is None else value
