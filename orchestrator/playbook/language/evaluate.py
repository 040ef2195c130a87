"""How `${{ }}` is evaluated: a walk over the whitelisted tree, over plain JSON, in one pass.

Pure and deterministic. A name is looked up as a key of a mapping and never as an attribute; what does not exist is an error;
a result is data and is never parsed again, whatever an attacker wrote into an alert. `$${{` is a literal `${{`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from orchestrator.playbook.language.ast import (
    Arithmetic,
    Compare,
    Constant,
    Either,
    Filtered,
    IsDefined,
    IsNone,
    Item,
    Join,
    ListOfNodes,
    Logic,
    Minus,
    Name,
    Negation,
    Node,
    ObjectOfNodes,
)
from orchestrator.playbook.language.filters import FILTERS, Filter, argued, refuse_kind
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import ExpressionError, parse, scan
from orchestrator.playbook.language.values import (
    MAX_LEVELS,
    Json,
    arithmetic,
    kind_of,
    less,
    measure,
    same,
    short,
    spoken,
    text,
    truth,
    within,
)
from orchestrator.playbook.problems import did_you_mean

__all__ = [
    "ExpressionError",
    "condition",
    "evaluate",
    "evaluate_text",
    "is_template",
    "parse",
    "parts",
    "references",
]

OPENING = "${{"
MAX_TEMPLATE = 256 * 1024  # characters of one text that holds expressions

Scope = Mapping[str, Json]


def evaluate(template: Json, scope: Scope) -> Json:
    """A JSON value with every `${{ }}` in its texts replaced.

    A text that is one whole `${{ x }}` becomes x, type and all;
    in a longer one each becomes its text. Raises ExpressionError: undefined, null in a text, too large, wrong type.
    """
    result = _evaluate(template, scope, 0)
    measure(result)
    return result


def evaluate_text(template: str, scope: Scope) -> str:
    """Like `evaluate`, for what is shown to people: the result as text."""
    return short(text(evaluate(template, scope)))


def condition(source: str, scope: Scope) -> bool:
    """What a bare expression yields, which has to be true or false. Raises ExpressionError."""
    return truth(_walk(parse(source), scope), "a condition")


def is_template(template: str) -> bool:
    """Whether the text holds an expression (or an escaped one)."""
    return OPENING in template


def parts(template: str) -> tuple[str | Node, ...]:
    """The text cut up: literal texts and expressions. Raises ExpressionError for a bad or unclosed one."""
    return _parts(template)


def _evaluate(template: Json, scope: Scope, level: int) -> Json:
    if level > MAX_LEVELS:
        message = f"a value of more than {MAX_LEVELS} levels"
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
    pieces = _parts(template)
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
    return short("".join(result))


@lru_cache(maxsize=8_192)
def _parts(template: str) -> tuple[str | Node, ...]:
    pieces: list[str | Node] = []
    literal = ""
    start = 0
    while (opening := template.find(OPENING, start)) >= 0:
        if template[opening - 1 : opening] == "$" and opening > start:
            literal += template[start : opening - 1] + OPENING
            start = opening + len(OPENING)
            continue
        closing = scan(template, opening + len(OPENING))
        if closing < 0:
            message = "a ${{ without its }}"
            raise ExpressionError(message, "close it, or write $${{ for a literal ${{")
        literal += template[start:opening]
        pieces += ([literal] if literal else []) + [
            parse(template[opening + len(OPENING) : closing])
        ]
        literal = ""
        start = closing + 2
    literal += template[start:]
    return (*pieces, literal) if literal or not pieces else tuple(pieces)


class _UndefinedError(ExpressionError):
    """The path leads nowhere: `default` and `is defined` take it, everything else lets it through."""


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
            message = f"{node.path} is not defined, as what it is looked up in is null"
            raise _UndefinedError(
                message, "guard it: `... is not none and ...`, or `| default(...)`"
            )
        case _:
            message = f"{node.path}: cannot look {spoken(key)} up in {spoken(of)}"
            raise ExpressionError(message)
    message = f"{node.path} is not defined"
    raise _UndefinedError(
        message, did_you_mean(key, of) if isinstance(of, dict) and isinstance(key, str) else None
    )


def _compare(node: Compare, scope: Scope) -> bool:
    left, right = _walk(node.left, scope), _walk(node.right, scope)
    return _COMPARISONS[node.operator](left, right)


_COMPARISONS: dict[str, Callable[[Json, Json], bool]] = {
    "==": same,
    "!=": lambda left, right: not same(left, right),
    "<": less,
    ">": lambda left, right: less(right, left),
    "<=": lambda left, right: not less(right, left),
    ">=": lambda left, right: not less(left, right),
    "in": within,
    "not in": lambda left, right: not within(left, right),
}


def _logic(node: Logic, scope: Scope) -> bool:
    left = truth(_walk(node.left, scope), f"`{node.operator}`")
    if left is (node.operator == "or"):
        return left
    return truth(_walk(node.right, scope), f"`{node.operator}`")


def _minus(node: Minus, scope: Scope) -> Json:
    return arithmetic("-", 0, _walk(node.of, scope))


def _join(node: Join, scope: Scope) -> str:
    return short("".join(text(_walk(part, scope)) for part in node.parts))


def _either(node: Either, scope: Scope) -> Json:
    return _walk(node.then if truth(_walk(node.test, scope), "`if`") else node.otherwise, scope)


def _is_defined(node: IsDefined, scope: Scope) -> bool:
    try:
        _walk(node.of, scope)
    except _UndefinedError:
        return False
    return True


def _filtered(node: Filtered, scope: Scope) -> Json:
    found = known_filter(node.name)
    try:
        value = _walk(node.of, scope)
    except _UndefinedError:
        if node.name != "default":
            raise
        value = None
    if kind_of(value) not in found.accepts:
        raise refuse_kind(node.name, value)
    return found.apply(value, *_arguments(node, found, scope))


def _arguments(node: Filtered, found: Filter, scope: Scope) -> list[Json]:
    """In the order of the parameters; optional ones stand last, so that leaving one out leaves no gap."""
    given = [*node.arguments, *(value for _, value in node.named)]
    order = argued(node.name, found, len(node.arguments), tuple(name for name, _ in node.named))
    values = {}
    for parameter, argument in zip(order, given, strict=True):
        value = _walk(argument, scope)
        if kind_of(value) not in parameter.kinds:
            message = (
                f"the argument {parameter.name!r} of the filter {node.name!r} is {spoken(value)}"
            )
            raise ExpressionError(message, f"it takes {' or '.join(sorted(parameter.kinds))}")
        values[parameter.name] = value
    return [values[parameter.name] for parameter in found.parameters if parameter.name in values]


def known_filter(name: str) -> Filter:
    """The filter of that name. Raises ExpressionError with the mend."""
    if found := FILTERS.get(name):
        return found
    message = f"unknown filter {name!r}"
    raise ExpressionError(
        message, did_you_mean(name, FILTERS) or f"there is: {', '.join(sorted(FILTERS))}"
    )


_WALKERS: dict[type, Callable[[Any, Scope], Json]] = {
    Constant: lambda node, _: node.value,
    Name: _name,
    Item: _item,
    ListOfNodes: lambda node, scope: [_walk(item, scope) for item in node.items],
    ObjectOfNodes: lambda node, scope: {key: _walk(value, scope) for key, value in node.pairs},
    Compare: _compare,
    Logic: _logic,
    Negation: lambda node, scope: not truth(_walk(node.of, scope), "`not`"),
    Arithmetic: lambda node, scope: arithmetic(
        node.operator, _walk(node.left, scope), _walk(node.right, scope)
    ),
    Minus: _minus,
    Join: _join,
    Either: _either,
    IsNone: lambda node, scope: _walk(node.of, scope) is None,
    IsDefined: _is_defined,
    Filtered: _filtered,
}
