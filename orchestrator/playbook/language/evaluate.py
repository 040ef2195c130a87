"""Evaluation of `${{ }}`: a walk over the whitelisted tree and plain JSON, in one pass.

Pure and deterministic. A name is looked up as a key of a mapping, never as an attribute. What does
not exist is an error. A result is data and is never parsed again, whatever an alert contains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.playbook.language.ast import (
    Arithmetic,
    Comparison,
    Concatenation,
    Conditional,
    Constant,
    ExpressionError,
    FilterCall,
    IsDefined,
    IsNone,
    Item,
    ListLiteral,
    Logic,
    Minus,
    Name,
    Negation,
    Node,
    ObjectLiteral,
    Slice,
)
from orchestrator.playbook.language.filters import FILTERS, Filter, bind_arguments, refuse_kind
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.templates import OPENING, template_parts
from orchestrator.playbook.language.values import (
    MAX_LEVELS,
    Json,
    arithmetic,
    check_text,
    check_value,
    describe_kind,
    is_equal,
    is_in,
    is_less,
    kind_of,
    require_truth,
    text,
)
from orchestrator.playbook.problems import did_you_mean

__all__ = ["ExpressionError", "evaluate", "evaluate_condition", "evaluate_text"]

MAX_TEMPLATE = 256 * 1024  # characters of one text that holds expressions

Scope = Mapping[str, Json]


def evaluate(template: Json, scope: Scope) -> Json:
    """Return a JSON value with every `${{ }}` in its texts replaced.

    A text that is one whole `${{ x }}` becomes x and keeps its type. In a longer text each
    expression becomes its text. Raises ExpressionError: undefined, null in a text, too large, wrong
    type.
    """
    result = _evaluate(template, scope, 0)
    check_value(result)
    return result


def evaluate_text(template: str, scope: Scope) -> str:
    """Return the text of an evaluated template, as people are shown it. Raises ExpressionError."""
    return check_text(text(evaluate(template, scope)))


def evaluate_condition(source: str, scope: Scope) -> bool:
    """Return the truth of a bare expression. Raises ExpressionError unless it is true or false."""
    return require_truth(_walk(parse(source), scope), "a condition")


def _evaluate(template: Json, scope: Scope, level: int) -> Json:
    if level > MAX_LEVELS:
        message = f"the value has more than {MAX_LEVELS} levels"
        raise ExpressionError(message)
    match template:
        case str():
            return _text(template, scope) if OPENING in template else template
        case dict():
            return {key: _evaluate(value, scope, level + 1) for key, value in template.items()}
        case list() | tuple():
            return [_evaluate(value, scope, level + 1) for value in template]
        case _:
            return template


def _text(template: str, scope: Scope) -> Json:
    pieces = template_parts(template)
    if len(pieces) == 1:
        piece = pieces[0]
        return piece if isinstance(piece, str) else _walk(piece, scope)
    result: list[str] = []
    size = 0
    for piece in pieces:
        result.append(piece if isinstance(piece, str) else text(_walk(piece, scope)))
        size += len(result[-1])
        if size > MAX_TEMPLATE:
            break
    return check_text("".join(result))


class _UndefinedError(ExpressionError):
    """A path that does not exist. `default` and `is defined` handle it, everything else fails."""


def _walk(node: Node, scope: Scope) -> Json:
    return _WALKERS[type(node)](node, scope)


def _name(node: Name, scope: Scope) -> Json:
    if node.name not in scope:
        message = f"{node.name!r} is not defined"
        raise _UndefinedError(message, did_you_mean(node.name, scope))
    return scope[node.name]


def _item(node: Item, scope: Scope) -> Json:
    of = _walk(node.of, scope)
    key = _walk(node.key, scope)
    match of:
        case dict() if isinstance(key, str):
            if key in of:
                return of[key]
        case list() | tuple() if isinstance(key, int) and not isinstance(key, bool):
            if -len(of) <= key < len(of):
                return of[key]
        case None:
            message = f"{node.path} is not defined: the value before it is null"
            raise _UndefinedError(
                message, "guard it with `... is not none and ...` or `| default(...)`"
            )
        case _:
            message = f"{node.path}: cannot look up {describe_kind(key)} in {describe_kind(of)}"
            raise ExpressionError(message)
    message = f"{node.path} is not defined"
    raise _UndefinedError(
        message, did_you_mean(key, of) if isinstance(of, dict) and isinstance(key, str) else None
    )


def _slice(node: Slice, scope: Scope) -> Json:
    of = _walk(node.of, scope)
    start, stop = (_bound(each, scope) for each in (node.start, node.stop))
    if kind_of(of) not in {"string", "list"}:
        message = f"a slice of {describe_kind(of)}"
        raise ExpressionError(message, "only a text and a list have parts: `x[:10]`")
    return of[start:stop]


def _bound(node: Node | None, scope: Scope) -> Json:
    if node is None:
        return None
    bound = _walk(node, scope)
    if kind_of(bound) != "int":
        message = "the bound of a slice is not a whole number"
        raise ExpressionError(message, "write [start:stop], such as [:10]")
    return bound


def _compare(node: Comparison, scope: Scope) -> bool:
    left, right = _walk(node.left, scope), _walk(node.right, scope)
    return _COMPARISONS[node.operator](left, right)


_COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "==": is_equal,
    "!=": lambda left, right: not is_equal(left, right),
    "<": is_less,
    ">": lambda left, right: is_less(right, left),
    "<=": lambda left, right: not is_less(right, left),
    ">=": lambda left, right: not is_less(left, right),
    "in": is_in,
    "not in": lambda left, right: not is_in(left, right),
}


def _logic(node: Logic, scope: Scope) -> bool:
    left = require_truth(_walk(node.left, scope), f"`{node.operator}`")
    if left is (node.operator == "or"):
        return left
    return require_truth(_walk(node.right, scope), f"`{node.operator}`")


def _minus(node: Minus, scope: Scope) -> Json:
    return arithmetic("-", 0, _walk(node.of, scope))


def _join(node: Concatenation, scope: Scope) -> str:
    return check_text("".join(text(_walk(part, scope)) for part in node.parts))


def _either(node: Conditional, scope: Scope) -> Json:
    return _walk(
        node.then if require_truth(_walk(node.test, scope), "`if`") else node.otherwise, scope
    )


def _is_defined(node: IsDefined, scope: Scope) -> bool:
    try:
        _walk(node.of, scope)
    except _UndefinedError:
        return False
    return True


def _filtered(node: FilterCall, scope: Scope) -> Json:
    filter_ = known_filter(node.name)
    try:
        value = _walk(node.of, scope)
    except _UndefinedError:
        if node.name != "default":
            raise
        value = None
    if kind_of(value) not in filter_.accepts:
        raise refuse_kind(node.name, value)
    return filter_.apply(value, *_arguments(node, filter_, scope))


def _arguments(node: FilterCall, filter_: Filter, scope: Scope) -> list[Json]:
    """Return the arguments in the order of the parameters. Optional ones are last: no gaps."""
    given = [*node.arguments, *(value for _, value in node.named)]
    order = bind_arguments(
        node.name, filter_, len(node.arguments), tuple(name for name, _ in node.named)
    )
    values = {}
    for parameter, argument in zip(order, given, strict=True):
        value = _walk(argument, scope)
        if kind_of(value) not in parameter.kinds:
            argument_name = f"the argument {parameter.name!r} of the filter {node.name!r}"
            message = f"{argument_name} is {describe_kind(value)}"
            raise ExpressionError(message, f"it takes {' or '.join(sorted(parameter.kinds))}")
        values[parameter.name] = value
    return [values[parameter.name] for parameter in filter_.parameters if parameter.name in values]


def known_filter(name: str) -> Filter:
    """Return the filter of that name. Raises ExpressionError."""
    if filter_ := FILTERS.get(name):
        return filter_
    message = f"unknown filter {name!r}"
    raise ExpressionError(
        message, did_you_mean(name, FILTERS) or f"the filters are {', '.join(sorted(FILTERS))}"
    )


_WALKERS: dict[type, Callable[[Any, Scope], Json]] = {
    Constant: lambda node, _: node.value,
    Name: _name,
    Item: _item,
    Slice: _slice,
    ListLiteral: lambda node, scope: [_walk(item, scope) for item in node.items],
    ObjectLiteral: lambda node, scope: {key: _walk(value, scope) for key, value in node.pairs},
    Comparison: _compare,
    Logic: _logic,
    Negation: lambda node, scope: not require_truth(_walk(node.of, scope), "`not`"),
    Arithmetic: lambda node, scope: arithmetic(
        node.operator, _walk(node.left, scope), _walk(node.right, scope)
    ),
    Minus: _minus,
    Concatenation: _join,
    Conditional: _either,
    IsNone: lambda node, scope: _walk(node.of, scope) is None,
    IsDefined: _is_defined,
    FilterCall: _filtered,
}
