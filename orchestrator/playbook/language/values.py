"""How JSON values compare, count and become text inside expressions: strict, bounded, the same on every machine."""

from __future__ import annotations

import math
from typing import Any

from orchestrator.domain.digest import canonical
from orchestrator.playbook.language.syntax import MAX_INTEGER, ExpressionError
from orchestrator.playbook.language.unknown import NotKnown

MAX_TEXT = 64 * 1024  # characters
MAX_ITEMS = 10_000  # of one list or object
MAX_PARTS = 100_000  # of a whole value
MAX_LEVELS = 40  # of a whole value

Json = Any  # None, bool, int, float, str, list, dict


def kind_of(value: Json) -> str:
    """null, bool, int, number, string, list or object. Raises ExpressionError for what is not JSON, CannotTell for what is not known."""
    name = _KINDS.get(type(value))
    if name is None:
        if isinstance(value, NotKnown):
            value.tell()
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
_SPOKEN = {
    "null": "null",
    "bool": "true or false",
    "int": "a number",
    "number": "a number",
    "string": "a text",
    "list": "a list",
    "object": "an object",
}


def spoken(value: Json) -> str:
    """The kind of a value, for messages: never the value itself, which may be an attacker's or a secret's."""
    return _SPOKEN[kind_of(value)]


def truth(value: Json, where: str) -> bool:
    """The value, if it is a bool; `where` names what wanted one. Raises ExpressionError: nothing else counts as true or false."""
    if value is True or value is False:
        return bool(value)
    message = f"{where} needs true or false, and got {spoken(value)}"
    raise ExpressionError(message, "compare it: `x == ...`, `x is not none`, `x | length > 0`")


def same(left: Json, right: Json, level: int = 0) -> bool:
    """JSON equality: 1 is 1.0, true is not 1, '1' is not 1."""
    if level > MAX_LEVELS:
        message = f"a comparison of values more than {MAX_LEVELS} levels deep"
        raise ExpressionError(message)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            same(left[key], right[key], level + 1) for key in left
        )
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(
            same(one, other, level + 1) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def less(left: Json, right: Json) -> bool:
    """Whether left comes before right: two numbers or two texts. Raises ExpressionError for anything else."""
    if is_number(left) and is_number(right):
        return bounded(left) < bounded(right)
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    message = f"cannot order {spoken(left)} and {spoken(right)}"
    raise ExpressionError(
        message, "compare two numbers or two texts; `| int` makes a number of a text"
    )


def within(needle: Json, haystack: Json) -> bool:
    """An item in a list, a text in a text, a key in an object. Raises ExpressionError for anything else."""
    match haystack:
        case list() | tuple():
            return any(same(needle, item) for item in haystack)
        case str() if isinstance(needle, str):
            return needle in haystack
        case dict() if isinstance(needle, str):
            return needle in haystack
        case _:
            message = f"cannot look for {spoken(needle)} in {spoken(haystack)}"
            raise ExpressionError(
                message, "`in` wants an item and a list, or two texts, or a key and an object"
            )


def is_number(value: Json) -> bool:
    """Whether it is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def arithmetic(operator: str, left: Json, right: Json) -> int | float:
    """The result of `left` + - * / % `right`: of numbers within what JSON carries. Raises ExpressionError."""
    if not (is_number(left) and is_number(right)):
        message = f"`{operator}` between {spoken(left)} and {spoken(right)}"
        raise ExpressionError(message, "it takes two numbers; `~` puts texts together")
    if operator in "/%" and right == 0:
        message = f"`{operator}` by zero"
        raise ExpressionError(message)
    bounded(left)
    bounded(right)
    match operator:
        case "+":
            return bounded(left + right)
        case "-":
            return bounded(left - right)
        case "*":
            return bounded(left * right)
        case "/":
            return bounded(left / right)
        case _:
            return bounded(left % right)


def bounded(number: float) -> int | float:
    """The number, if JSON carries it exactly. Raises ExpressionError."""
    if math.isfinite(number) and (isinstance(number, float) or abs(number) <= MAX_INTEGER):
        return number
    message = "a number beyond what JSON carries (2^53)"
    raise ExpressionError(message)


def text(value: Json) -> str:
    """The text of a value: a text as it is, `true`, `false`, and canonical JSON of the rest. Raises ExpressionError for null."""
    match value:
        case str():
            return value
        case None:
            message = "null has no text"
            raise ExpressionError(message, "give it one: `x | default('unknown')`")
        case bool():
            return "true" if value else "false"
        case int():
            return str(bounded(value))
        case _:
            return json_text(value)


def json_text(value: Json) -> str:
    """RFC 8785 JSON of a value. Raises ExpressionError when it is too large or cannot be JSON."""
    measure(value)
    try:
        return short(canonical(value).decode())
    except (ValueError, RecursionError) as error:
        message = "a value that JSON cannot carry"
        raise ExpressionError(message) from error


def short(value: str) -> str:
    """The text, if it is within bounds. Raises ExpressionError."""
    if len(value) > MAX_TEXT:
        message = f"a text of more than {MAX_TEXT} characters"
        raise ExpressionError(message, "take less of it")
    return value


def measure(value: Json) -> None:
    """Raises ExpressionError for a value that is too large or too deep to be handed on, or is not JSON."""
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
            message = (
                f"a value of more than {MAX_ITEMS} items, {MAX_PARTS} parts or {MAX_LEVELS} levels"
            )
            raise ExpressionError(message, "take less of it")
        match kind_of(part):
            case "string":
                short(part)
            case "list":
                pending.extend((child, level + 1) for child in part)
            case "object":
                pending.extend((child, level + 1) for pair in part.items() for child in pair)
            case "int" | "number":
                bounded(part)
            case _:
                pass
