"""Operand types: which types can be looked into, compared, ordered, searched and added."""

from __future__ import annotations

import re

from orchestrator.playbook.language.ast import ExpressionError
from orchestrator.playbook.language.durations import PATTERN
from orchestrator.playbook.language.types import (
    ANY,
    INT,
    NULL,
    NUMBER,
    STRING,
    Anything,
    ListOf,
    ObjectOf,
    Scalar,
    Type,
    fits,
    kinds,
    may_equal,
    members,
    union,
    without_null,
)
from orchestrator.playbook.problems import did_you_mean


def item_type(of: Type, key: object, path: str) -> Type:
    """Return the type of `of[key]`; None: a key that is not a literal. Raises ExpressionError."""
    match of:
        case Anything():
            return ANY
        case ListOf() if key is None or (isinstance(key, int) and not isinstance(key, bool)):
            return of.item
        case ObjectOf() if isinstance(key, str):
            return field_type(of, key, path)
        case ObjectOf() if key is None and of.more:
            return ANY
        case ObjectOf() if key is None:
            message = f"{path}: the name of the field must be a literal"
            raise ExpressionError(message)
        case _:
            message = f"{path}: {of} has no such field"
            fix = "use an index: `[0]` or `| first`" if isinstance(of, ListOf) else None
            raise ExpressionError(message, fix)


def field_type(of: ObjectOf, key: str, path: str) -> Type:
    """Return the type of a field. Raises ExpressionError for one that the object cannot have."""
    if key in of.fields:
        return of.fields[key]
    if of.more:
        return ANY
    message = f"unknown field {key!r} in {path}"
    raise ExpressionError(message, did_you_mean(key, of.fields))


def slice_type(of: Type, bounds: list[Type]) -> Type:
    """Return the type of `of[start:stop]`. Raises ExpressionError unless it has parts."""
    if of == NULL or (of != ANY and not kinds(without_null(of)) <= {"string", "list"}):
        message = f"a slice of {of}"
        raise ExpressionError(message, "only a text and a list have parts: `x[:10]`")
    for bound in bounds:
        if bound == NULL or not fits(bound, INT):
            message = f"the bound of a slice is {bound}"
            raise ExpressionError(message, "write whole numbers: [start:stop], such as [:10]")
    return union(STRING if isinstance(part, Scalar) else part for part in members(without_null(of)))


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
        raise ExpressionError(message, _ordering_fix(left, right))


def _ordering_fix(left: Type, right: Type) -> str:
    for side in (left, right):
        if isinstance(side, Scalar) and len(side.values or ()) == 1:
            (text,) = side.values or ("",)
            if re.fullmatch(PATTERN, text):
                return f"write the seconds of a duration as `{text!r} | duration`"
    return "compare two numbers or two texts; `| int` converts a text to a number"


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
