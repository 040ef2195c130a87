"""JSON values in expressions: how they compare, count and become text, within fixed limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from orchestrator.domain.digest import canonical
from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.unknown import UnknownValue
from orchestrator.playbook.language.whitelist import MAX_INTEGER

MAX_TEXT = 64 * 1024  # characters
MAX_ITEMS = 10_000  # of one list or object
MAX_PARTS = 100_000  # of a whole value
MAX_LEVELS = 40  # of a whole value

Json = Any  # None, bool, int, float, str, list, dict


def kind_of(value: Json) -> str:
    """Return null, bool, int, number, string, list or object.

    Raises ExpressionError for a value that is not JSON, CannotTell for an unknown one.
    """
    name = _KINDS.get(type(value))
    if name is None:
        if isinstance(value, UnknownValue):
            value.refuse()
        message = f"a {type(value).__name__} is not JSON"
        raise ExpressionError(message)
    return name


_KINDS = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "number",
    str: "string",
    list: "list",
    tuple: "list",
    dict: "object",
}
_DESCRIPTIONS = {
    "null": "null",
    "bool": "true or false",
    "int": "a number",
    "number": "a number",
    "string": "a text",
    "list": "a list",
    "object": "an object",
}


def describe_kind(value: Json) -> str:
    """Return the kind of a value for messages. The value itself may be hostile or a secret."""
    return _DESCRIPTIONS[kind_of(value)]


def require_truth(value: Json, where: str) -> bool:
    """Return a value that is a bool. Raises ExpressionError, naming `where`, for any other."""
    if value is True or value is False:
        return bool(value)
    message = f"{where} needs true or false, and got {describe_kind(value)}"
    raise ExpressionError(message, "compare it: `x == ...`, `x is not none`, `x | length > 0`")


def is_equal(left: Json, right: Json, level: int = 0) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, and neither true nor '1' equals 1."""
    if level > MAX_LEVELS:
        message = f"the compared values have more than {MAX_LEVELS} levels"
        raise ExpressionError(message)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            is_equal(left[key], right[key], level + 1) for key in left
        )
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(
            is_equal(one, other, level + 1) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def is_less(left: Json, right: Json) -> bool:
    """Whether a number or text comes before another. Raises ExpressionError for other kinds."""
    if is_number(left) and is_number(right):
        return check_number(left) < check_number(right)
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    message = f"cannot order {describe_kind(left)} and {describe_kind(right)}"
    raise ExpressionError(
        message, "compare two numbers or two texts; `| int` converts a text to a number"
    )


def is_in(needle: Json, haystack: Json) -> bool:
    """Whether a list has an item, a text a part, an object a key. Raises ExpressionError."""
    match haystack:
        case list() | tuple():
            return any(is_equal(needle, item) for item in haystack)
        case str() if isinstance(needle, str):
            return needle in haystack
        case dict() if isinstance(needle, str):
            return needle in haystack
        case _:
            message = f"cannot look for {describe_kind(needle)} in {describe_kind(haystack)}"
            raise ExpressionError(
                message, "`in` takes an item and a list, two texts, or a key and an object"
            )


COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "==": is_equal,
    "!=": lambda left, right: not is_equal(left, right),
    "<": is_less,
    ">": lambda left, right: is_less(right, left),
    "<=": lambda left, right: not is_less(right, left),
    ">=": lambda left, right: not is_less(left, right),
    "in": is_in,
    "not in": lambda left, right: not is_in(left, right),
}
"""The comparisons of two values, by operator."""


def is_number(value: Json) -> bool:
    """Whether it is a number; true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def arithmetic(operator: str, left: Json, right: Json) -> int | float:
    """Return `left operator right`. Raises ExpressionError for what JSON cannot carry."""
    if not (is_number(left) and is_number(right)):
        message = f"`{operator}` between {describe_kind(left)} and {describe_kind(right)}"
        raise ExpressionError(message, "it takes two numbers; `~` joins texts")
    if operator in "/%" and right == 0:
        message = f"`{operator}` by zero"
        raise ExpressionError(message)
    check_number(left)
    check_number(right)
    match operator:
        case "+":
            return check_number(left + right)
        case "-":
            return check_number(left - right)
        case "*":
            return check_number(left * right)
        case "/":
            return check_number(left / right)
        case _:
            return check_number(left % right)


def check_number(number: float) -> int | float:
    """Return a number that JSON carries exactly. Raises ExpressionError for any other."""
    if math.isfinite(number) and (isinstance(number, float) or abs(number) <= MAX_INTEGER):
        return number
    message = "the number is beyond what JSON carries exactly (2^53)"
    raise ExpressionError(message)


def text(value: Json) -> str:
    """Return the text of a value: texts unchanged, canonical JSON for the rest.

    Raises ExpressionError for null.
    """
    match value:
        case str():
            return value
        case None:
            message = "null has no text"
            raise ExpressionError(message, "give it one: `x | default('unknown')`")
        case bool():
            return "true" if value else "false"
        case int():
            return str(check_number(value))
        case _:
            return json_text(value)


def json_text(value: Json) -> str:
    """Return the RFC 8785 JSON of a value. Raises ExpressionError if it is too large."""
    check_value(value)
    try:
        return check_text(canonical(value).decode())
    except (ValueError, RecursionError) as error:
        message = "JSON cannot carry the value"
        raise ExpressionError(message) from error


def check_text(value: str) -> str:
    """Return a text within the size limit. Raises ExpressionError for a longer one."""
    if len(value) > MAX_TEXT:
        message = f"the text has more than {MAX_TEXT} characters"
        raise ExpressionError(message, "use a smaller value")
    return value


def check_value(value: Json) -> None:
    """Raise ExpressionError for a value that is too large, too deep, or not JSON."""
    parts = 0
    pending: list[tuple[Json, int]] = [(value, 0)]
    while pending:
        part, level = pending.pop()
        parts += 1
        if (
            parts > MAX_PARTS
            or level > MAX_LEVELS
            or (isinstance(part, (list, tuple, dict)) and len(part) > MAX_ITEMS)
        ):
            limits = f"{MAX_ITEMS} items, {MAX_PARTS} parts or {MAX_LEVELS} levels"
            message = f"the value has more than {limits}"
            raise ExpressionError(message, "use a smaller value")
        match kind_of(part):
            case "string":
                check_text(part)
            case "list":
                pending.extend((child, level + 1) for child in part)
            case "object":
                pending.extend((child, level + 1) for pair in part.items() for child in pair)
            case "int" | "number":
                check_number(part)
            case _:
                pass
