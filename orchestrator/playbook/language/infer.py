"""Type inference over expressions, and the mistakes that it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.domain.errors import Invalid
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
from orchestrator.playbook.language.filters import Parameter, bind_arguments, known_filter
from orchestrator.playbook.language.operands import (
    field_type,
    item_type,
    require_addable,
    require_comparable,
    require_member,
    require_ordered,
    slice_type,
)
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.templates import template_parts
from orchestrator.playbook.language.types import (
    ANY,
    BOOL,
    INT,
    NULL,
    NUMBER,
    STRING,
    ListOf,
    ObjectOf,
    Type,
    fits,
    kinds,
    members,
    text_of,
    union,
    without_null,
)
from orchestrator.playbook.problems import did_you_mean

Names = Mapping[str, Type]


def infer(source: str | Node, names: Names) -> Type:
    """Return the type of a bare expression. Raises ExpressionError for a certain mistake."""
    return _infer(parse(source) if isinstance(source, str) else source, names)


def infer_text(template: str, names: Names) -> Type:
    """Return the type of a template: that of a whole `${{ }}`, or else text."""
    pieces = template_parts(template)
    kinds_of_pieces = [infer(piece, names) for piece in pieces if not isinstance(piece, str)]
    if len(pieces) == 1 and kinds_of_pieces:
        return kinds_of_pieces[0]
    for kind in kinds_of_pieces:
        if kind == NULL:
            message = "the text contains null"
            raise ExpressionError(message, "give it a value: `| default('...')`")
    return STRING


def require_bool(source: str, names: Names) -> None:
    """Raise ExpressionError unless the bare expression can yield true or false."""
    _require_bool(parse(source), names, "a condition")


def _infer(node: Node, names: Names) -> Type:
    return _INFERRERS[type(node)](node, names)


def _require_bool(node: Node, names: Names, where: str) -> None:
    kind = _infer(node, names)
    if not fits(kind, BOOL) or kind == NULL:
        message = f"{where} needs true or false, not {kind}"
        raise ExpressionError(message, "compare it: `x == ...`, `x is not none`, `x | length > 0`")


def _constant(node: Constant, _: Names) -> Type:
    match node.value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return NUMBER
        case str(value):
            return text_of(value)


def _name(node: Name, names: Names) -> Type:
    if node.name not in names:
        message = f"unknown name {node.name!r}"
        raise ExpressionError(message, did_you_mean(node.name, names))
    return names[node.name]


def _item(node: Item, names: Names) -> Type:
    of = _infer(node.of, names)
    key = node.key.value if isinstance(node.key, Constant) else None
    if key is None:
        _infer(node.key, names)
    found: list[Type] = []
    refused: ExpressionError | None = None
    for member in members(without_null(of)):
        try:
            found.append(item_type(member, key, node.path))
        except ExpressionError as error:
            refused = error
    if not found and refused:
        raise refused
    return union(found)


def _slice(node: Slice, names: Names) -> Type:
    bounds = [_infer(bound, names) for bound in (node.start, node.stop) if bound is not None]
    return slice_type(_infer(node.of, names), bounds)


def _list(node: ListLiteral, names: Names) -> Type:
    return ListOf(union(_infer(item, names) for item in node.items))


def _object(node: ObjectLiteral, names: Names) -> Type:
    return ObjectOf({key: _infer(value, names) for key, value in node.pairs})


def _compare(node: Comparison, names: Names) -> Type:
    left, right = _infer(node.left, names), _infer(node.right, names)
    match node.operator:
        case "==" | "!=":
            require_comparable(left, right)
        case "in" | "not in":
            require_member(left, right)
        case operator:
            require_ordered(operator, left, right)
    return BOOL


def _logic(node: Logic, names: Names) -> Type:
    _require_bool(node.left, names, f"`{node.operator}`")
    _require_bool(node.right, names, f"`{node.operator}`")
    return BOOL


def _negation(node: Negation, names: Names) -> Type:
    _require_bool(node.of, names, "`not`")
    return BOOL


def _arithmetic(node: Arithmetic, names: Names) -> Type:
    left, right = _infer(node.left, names), _infer(node.right, names)
    require_addable(node.operator, left, right)
    return INT if node.operator != "/" and left == right == INT else NUMBER


def _minus(node: Minus, names: Names) -> Type:
    return _arithmetic(Arithmetic("-", Constant(0), node.of), names)


def _join(node: Concatenation, names: Names) -> Type:
    if any(_infer(part, names) == NULL for part in node.parts):
        message = "null has no text"
        raise ExpressionError(message, "give it one: `x | default('unknown')`")
    return STRING


def _either(node: Conditional, names: Names) -> Type:
    _require_bool(node.test, names, "`if`")
    return union((_infer(node.then, names), _infer(node.otherwise, names)))


def _asked(node: IsNone | IsDefined, names: Names) -> Type:
    _infer(node.of, names)
    return BOOL


def _filtered(node: FilterCall, names: Names) -> Type:
    filter_ = known_filter(node.name)
    value = _infer(node.of, names)
    if not _accepted(value, filter_.accepts):
        takes = " or ".join(sorted(filter_.accepts))
        message = f"the filter {node.name!r} takes {takes}, not {value}"
        raise ExpressionError(message)
    given = [*node.arguments, *(argument for _, argument in node.named)]
    order = bind_arguments(
        node.name, filter_, len(node.arguments), tuple(name for name, _ in node.named)
    )
    return filter_.result(
        value, [_argument(node, value, *pair, names) for pair in zip(order, given, strict=True)]
    )


def _accepted(kind: Type, accepts: frozenset[str]) -> bool:
    if kind == ANY:
        return True
    known = kinds(without_null(kind))
    return known <= accepts


def _argument(
    node: FilterCall, value: Type, parameter: Parameter, argument: Node, names: Names
) -> Any:
    """Return the type of an argument, or its literal value if it names a field that exists."""
    kind = _infer(argument, names)
    if not _accepted(kind, parameter.kinds):
        message = f"the argument {parameter.name!r} of the filter {node.name!r} is {kind}"
        raise ExpressionError(message, f"it takes {' or '.join(sorted(parameter.kinds))}")
    literal = argument.value if isinstance(argument, Constant) else None
    if parameter.check:
        _check_literal(node, parameter, literal)
    if not parameter.field:
        return kind
    if isinstance(literal, str):
        _check_field(value, literal, node.name)
    return literal


def _check_literal(node: FilterCall, parameter: Parameter, literal: object) -> None:
    """Raise ExpressionError unless an argument is a literal that its check takes."""
    if not isinstance(literal, str) or parameter.check is None:
        message = f"the argument {parameter.name!r} of the filter {node.name!r} is not a literal"
        raise ExpressionError(message, "write the text itself, in quotes")
    try:
        parameter.check(literal)
    except Invalid as error:
        raise ExpressionError(str(error)) from error


def _check_field(value: Type, path: str, filter_: str) -> None:
    """Raise ExpressionError unless the items of a list have the field, or one at `field.field`."""
    of: tuple[Type, ...] = _items(value)
    for part in path.split("."):
        found = [
            field_type(each, part, f"the items of `{filter_}`")
            for each in of
            if isinstance(each, ObjectOf)
        ]
        of = members(without_null(union(found))) if found else ()


def _items(value: Type) -> tuple[Type, ...]:
    return tuple(
        item
        for option in members(value)
        if isinstance(option, ListOf)
        for item in members(without_null(option.item))
    )


_INFERRERS: dict[type, Callable[[Any, Names], Type]] = {
    Constant: _constant,
    Name: _name,
    Item: _item,
    Slice: _slice,
    ListLiteral: _list,
    ObjectLiteral: _object,
    Comparison: _compare,
    Logic: _logic,
    Negation: _negation,
    Arithmetic: _arithmetic,
    Minus: _minus,
    Concatenation: _join,
    Conditional: _either,
    IsNone: _asked,
    IsDefined: _asked,
    FilterCall: _filtered,
}
