"""Evaluation of `${{ }}`: a walk over the whitelisted tree and plain JSON, in one pass.

Pure and deterministic. A name is looked up as a key of a mapping, never as an attribute. What does
not exist is an error. A result is data and is never parsed again, whatever an alert contains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    NullError,
    ObjectLiteral,
    Slice,
    UndefinedError,
    suggestions,
)
from orchestrator.playbook.language.budget import Budget, BudgetExceeded
from orchestrator.playbook.language.filters import (
    SPELL,
    Filter,
    bind_arguments,
    known_filter,
    refuse_kind,
)
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.templates import OPENING, template_parts
from orchestrator.playbook.language.values import (
    COMPARISONS,
    MAX_LEVELS,
    Json,
    arithmetic,
    check_text,
    check_value,
    describe_kind,
    kind_of,
    require_truth,
    text,
)

__all__ = ["BudgetExceeded", "ExpressionError", "evaluate", "evaluate_condition", "evaluate_text"]

MAX_TEMPLATE = 256 * 1024  # characters of one text that holds expressions

_SLICED = 64  # characters or items of a slice that are one step

Scope = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """What every node of one evaluation sees."""

    scope: Scope
    budget: Budget


def evaluate(template: Json, scope: Scope, budget: Budget | None = None) -> Json:
    """Return a JSON value with every `${{ }}` in its texts replaced.

    A text that is one whole `${{ x }}` becomes x and keeps its type. In a longer text each
    expression becomes its text. `budget`: of all its expressions. Raises ExpressionError:
    undefined, null in a text, too large, wrong type, over the budget.
    """
    budget = budget or Budget()
    with suggestions():
        result = _evaluate(template, _Evaluation(scope, budget), 0)
    budget.read(result)
    check_value(result)
    return result


def evaluate_text(template: str, scope: Scope, budget: Budget | None = None) -> str:
    """Return the text of an evaluated template, as people are shown it. Raises ExpressionError."""
    return check_text(text(evaluate(template, scope, budget)))


def evaluate_condition(source: str, scope: Scope, budget: Budget | None = None) -> bool:
    """Return the truth of a bare expression. Raises ExpressionError unless it is true or false."""
    return require_truth(
        _walk(parse(source), _Evaluation(scope, budget or Budget())), "a condition"
    )


def _evaluate(template: Json, data: _Evaluation, level: int) -> Json:
    if level > MAX_LEVELS:
        message = f"the value has more than {MAX_LEVELS} levels"
        raise ExpressionError(message)
    data.budget.spend()
    match template:
        case str():
            return _text(template, data) if OPENING in template else template
        case dict():
            return {key: _evaluate(value, data, level + 1) for key, value in template.items()}
        case list() | tuple():
            return [_evaluate(value, data, level + 1) for value in template]
        case _:
            return template


def _text(template: str, data: _Evaluation) -> Json:
    pieces = template_parts(template)
    if len(pieces) == 1:
        piece = pieces[0]
        return piece if isinstance(piece, str) else _walk(piece, data)
    result: list[str] = []
    size = 0
    for piece in pieces:
        result.append(piece if isinstance(piece, str) else _spelled(piece, data))
        size += len(result[-1])
        if size > MAX_TEMPLATE:
            break
    return check_text("".join(result))


def _walk(node: Node, data: _Evaluation) -> Json:
    data.budget.spend()
    return _WALKERS[type(node)](node, data)


def _name(node: Name, data: _Evaluation) -> Json:
    if node.name not in data.scope:
        raise UndefinedError(repr(node.name), node.name, data.scope)
    return data.scope[node.name]


def _item(node: Item, data: _Evaluation) -> Json:
    of = _walk(node.of, data)
    key = _walk(node.key, data)
    match of:
        case dict() if isinstance(key, str):
            if key in of:
                return of[key]
        case list() | tuple() if isinstance(key, int) and not isinstance(key, bool):
            if -len(of) <= key < len(of):
                return of[key]
        case None:
            raise NullError(node.path)
        case _:
            message = f"{node.path}: cannot look up {describe_kind(key)} in {describe_kind(of)}"
            raise ExpressionError(message)
    raise UndefinedError(node.path, key, of)


def _slice(node: Slice, data: _Evaluation) -> Json:
    of = _walk(node.of, data)
    start, stop = (_bound(each, data) for each in (node.start, node.stop))
    if kind_of(of) not in {"string", "list"}:
        message = f"a slice of {describe_kind(of)}"
        raise ExpressionError(message, "only a text and a list have parts: `x[:10]`")
    part = of[start:stop]
    data.budget.spend(len(part) // _SLICED)
    return part


def _bound(node: Node | None, data: _Evaluation) -> Json:
    if node is None:
        return None
    bound = _walk(node, data)
    if kind_of(bound) != "int":
        message = "the bound of a slice is not a whole number"
        raise ExpressionError(message, "write [start:stop], such as [:10]")
    return bound


def _compare(node: Comparison, data: _Evaluation) -> bool:
    left, right = _walk(node.left, data), _walk(node.right, data)
    # The larger side of `in`; of two values that are compared, the first bounds the work.
    data.budget.read(right if node.operator in {"in", "not in"} else left)
    return COMPARISONS[node.operator](left, right)


def _logic(node: Logic, data: _Evaluation) -> bool:
    left = require_truth(_walk(node.left, data), f"`{node.operator}`")
    if left is (node.operator == "or"):
        return left
    return require_truth(_walk(node.right, data), f"`{node.operator}`")


def _minus(node: Minus, data: _Evaluation) -> Json:
    return arithmetic("-", 0, _walk(node.of, data))


def _join(node: Concatenation, data: _Evaluation) -> str:
    return check_text("".join(_spelled(part, data) for part in node.parts))


def _spelled(node: Node, data: _Evaluation) -> str:
    value = _walk(node, data)
    data.budget.read(value, times=SPELL)
    return text(value)


def _either(node: Conditional, data: _Evaluation) -> Json:
    return _walk(
        node.then if require_truth(_walk(node.test, data), "`if`") else node.otherwise, data
    )


def _is_defined(node: IsDefined, data: _Evaluation) -> bool:
    try:
        _walk(node.of, data)
    except UndefinedError:
        return False
    return True


def _filtered(node: FilterCall, data: _Evaluation) -> Json:
    filter_ = known_filter(node.name)
    try:
        value = _walk(node.of, data)
    except UndefinedError:
        if node.name != "default":
            raise
        value = None
    if kind_of(value) not in filter_.accepts:
        raise refuse_kind(node.name, value)
    arguments = _arguments(node, filter_, data)
    for each in (value, *arguments):
        data.budget.read(each, filter_.cost)
    if filter_.work is not None:
        data.budget.spend(filter_.work(value, *arguments))
    return filter_.apply(value, *arguments)


def _arguments(node: FilterCall, filter_: Filter, data: _Evaluation) -> list[Json]:
    """Return the arguments in the order of the parameters. Optional ones are last: no gaps."""
    given = [*node.arguments, *(value for _, value in node.named)]
    order = bind_arguments(
        node.name, filter_, len(node.arguments), tuple(name for name, _ in node.named)
    )
    values = {}
    for parameter, argument in zip(order, given, strict=True):
        value = _walk(argument, data)
        if kind_of(value) not in parameter.kinds:
            argument_name = f"the argument {parameter.name!r} of the filter {node.name!r}"
            message = f"{argument_name} is {describe_kind(value)}"
            raise ExpressionError(message, f"it takes {' or '.join(sorted(parameter.kinds))}")
        values[parameter.name] = value
    return [values[parameter.name] for parameter in filter_.parameters if parameter.name in values]


_WALKERS: dict[type, Callable[[Any, _Evaluation], Json]] = {
    Constant: lambda node, _: node.value,
    Name: _name,
    Item: _item,
    Slice: _slice,
    ListLiteral: lambda node, data: [_walk(item, data) for item in node.items],
    ObjectLiteral: lambda node, data: {key: _walk(value, data) for key, value in node.pairs},
    Comparison: _compare,
    Logic: _logic,
    Negation: lambda node, data: not require_truth(_walk(node.of, data), "`not`"),
    Arithmetic: lambda node, data: arithmetic(
        node.operator, _walk(node.left, data), _walk(node.right, data)
    ),
    Minus: _minus,
    Concatenation: _join,
    Conditional: _either,
    IsNone: lambda node, data: _walk(node.of, data) is None,
    IsDefined: _is_defined,
    FilterCall: _filtered,
}
