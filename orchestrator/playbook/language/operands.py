"""Operand types: which types can be compared, ordered, searched and added."""

from __future__ import annotations

from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.types import (
    NULL,
    NUMBER,
    STRING,
    Anything,
    ListOf,
    ObjectOf,
    Scalar,
    Type,
    fits,
    may_equal,
    members,
    without_null,
)


def require_comparable(left: Type, right: Type) -> None:
    """Raise ExpressionError for two types whose values are never equal."""
    if not may_equal(left, right):
        message = f"{left} never equals {right}"
        raise ExpressionError(message, "compare values of the same type")


def require_ordered(operator: str, left: Type, right: Type) -> None:
    """Raise ExpressionError unless both types can be numbers, or both texts."""
    both = any(fits(left, kind) and fits(right, kind) for kind in (NUMBER, STRING))
    if not both or NULL in (left, right):
        message = f"`{operator}` between {left} and {right}"
        raise ExpressionError(
            message, "compare two numbers or two texts; `| int` converts a text to a number"
        )


def require_member(needle: Type, haystack: Type) -> None:
    """Raise ExpressionError for a type that is never `in` the other."""
    options = members(without_null(haystack))
    for option in options:
        match option:
            case Anything():
                return
            case ListOf(item) if may_equal(needle, item):
                return
            case ObjectOf() | Scalar("string") if fits(needle, STRING) and needle != NULL:
                return
            case _:
                continue
    of = f" of {options[0].item}" if isinstance(options[0], ListOf) else ""
    raise ExpressionError(
        f"{needle} is never in {haystack}{of}",
        "`in` takes an item and a list, two texts, or a key and an object",
    )


def require_addable(operator: str, left: Type, right: Type) -> None:
    """Raise ExpressionError unless both types can be numbers."""
    if any(not fits(side, NUMBER) or side == NULL for side in (left, right)):
        message = f"`{operator}` between {left} and {right}"
        raise ExpressionError(message, "it takes two numbers; `~` joins texts")
