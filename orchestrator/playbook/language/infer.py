"""What type an expression will yield, and whether its names, fields, operands and filters can be right at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from orchestrator.playbook.language.evaluate import known_filter, parts
from orchestrator.playbook.language.filters import Parameter, argued
from orchestrator.playbook.language.syntax import ExpressionError, parse
from orchestrator.playbook.language.types import (
    ANY,
    BOOL,
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
    one_of,
    union,
    without_null,
)
from orchestrator.playbook.problems import did_you_mean

Names = Mapping[str, Type]


def infer(source: str | Node, names: Names) -> Type:
    """The type of a bare expression over these names. Raises ExpressionError for what can only be a mistake."""
    return _infer(parse(source) if isinstance(source, str) else source, names)


def infer_text(template: str, names: Names) -> Type:
    """The type that a text yields: its expression's when it is one whole `${{ }}`, else a text. Raises ExpressionError."""
    pieces = parts(template)
    kinds_of_pieces = [infer(piece, names) for piece in pieces if not isinstance(piece, str)]
    if len(pieces) == 1 and kinds_of_pieces:
        return kinds_of_pieces[0]
    for kind in kinds_of_pieces:
        if kind == NULL:
            message = "null inside a text"
            raise ExpressionError(message, "give it a text: `| default('...')`")
    return STRING


def require_bool(source: str, names: Names) -> None:
    """Raises ExpressionError unless the bare expression can yield true or false."""
    _require_bool(parse(source), names, "a condition")


def _infer(node: Node, names: Names) -> Type:
    return _INFERRERS[type(node)](node, names)


def _require_bool(node: Node, names: Names, where: str) -> None:
    kind = _infer(node, names)
    if not fits(kind, BOOL) or kind == NULL:
        message = f"{where} needs true or false, and this is {kind}"
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
            return one_of(value)


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
            found.append(_item_of(member, key, node.path))
        except ExpressionError as error:
            refused = error
    if not found and refused:
        raise refused
    return union(found)


def _item_of(of: Type, key: object, path: str) -> Type:
    match of:
        case Anything():
            return ANY
        case ListOf() if key is None or (isinstance(key, int) and not isinstance(key, bool)):
            return of.item
        case ObjectOf() if isinstance(key, str):
            return _field(of, key, path)
        case ObjectOf() if key is None and of.more:
            return ANY
        case ObjectOf() if key is None:
            message = f"{path}: the field has to be written out"
            raise ExpressionError(message)
        case _:
            message = f"{path}: {of} has nothing to look up there"
            raise ExpressionError(
                message,
                "a list wants an index (`[0]`, `| first`)" if isinstance(of, ListOf) else None,
            )


def _field(of: ObjectOf, key: str, path: str) -> Type:
    if key in of.fields:
        return of.fields[key]
    if of.more:
        return ANY
    message = f"unknown field {key!r} in {path}"
    raise ExpressionError(message, did_you_mean(key, of.fields))


def _list(node: ListOfNodes, names: Names) -> Type:
    return ListOf(union(_infer(item, names) for item in node.items))


def _object(node: ObjectOfNodes, names: Names) -> Type:
    return ObjectOf({key: _infer(value, names) for key, value in node.pairs})


def _compare(node: Compare, names: Names) -> Type:
    left, right = _infer(node.left, names), _infer(node.right, names)
    match node.operator:
        case "==" | "!=":
            _refuse_unequal(left, right)
        case "in" | "not in":
            _refuse_not_in(left, right)
        case operator:
            both = (NUMBER, STRING)
            if not any(fits(left, kind) and fits(right, kind) for kind in both) or NULL in (
                left,
                right,
            ):
                message = f"`{operator}` between {left} and {right}"
                raise ExpressionError(
                    message, "compare two numbers or two texts; `| int` makes a number of a text"
                )
    return BOOL


def _refuse_unequal(left: Type, right: Type) -> None:
    if not may_equal(left, right):
        message = f"{left} never equals {right}"
        raise ExpressionError(message, "compare what is of one type")


def _refuse_not_in(needle: Type, haystack: Type) -> None:
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
    message = f"{needle} is never in {haystack}" + (
        f" of {options[0].item}" if isinstance(options[0], ListOf) else ""
    )
    raise ExpressionError(
        message, "`in` wants an item and a list, or two texts, or a key and an object"
    )


def _logic(node: Logic, names: Names) -> Type:
    _require_bool(node.left, names, f"`{node.operator}`")
    _require_bool(node.right, names, f"`{node.operator}`")
    return BOOL


def _negation(node: Negation, names: Names) -> Type:
    _require_bool(node.of, names, "`not`")
    return BOOL


def _arithmetic(node: Arithmetic, names: Names) -> Type:
    left, right = _infer(node.left, names), _infer(node.right, names)
    for side in (left, right):
        if not fits(side, NUMBER) or side == NULL:
            message = f"`{node.operator}` between {left} and {right}"
            raise ExpressionError(message, "it takes two numbers; `~` puts texts together")
    return INT if node.operator != "/" and left == right == INT else NUMBER


def _minus(node: Minus, names: Names) -> Type:
    return _arithmetic(Arithmetic("-", Constant(0), node.of), names)


def _join(node: Join, names: Names) -> Type:
    if any(_infer(part, names) == NULL for part in node.parts):
        message = "null has no text"
        raise ExpressionError(message, "give it one: `x | default('unknown')`")
    return STRING


def _either(node: Either, names: Names) -> Type:
    _require_bool(node.test, names, "`if`")
    return union((_infer(node.then, names), _infer(node.otherwise, names)))


def _asked(node: IsNone | IsDefined, names: Names) -> Type:
    _infer(node.of, names)
    return BOOL


def _filtered(node: Filtered, names: Names) -> Type:
    found = known_filter(node.name)
    value = _infer(node.of, names)
    if not _accepted(value, found.accepts):
        message = f"the filter {node.name!r} takes {' or '.join(sorted(found.accepts))}, and this is {value}"
        raise ExpressionError(message)
    given = [*node.arguments, *(argument for _, argument in node.named)]
    order = argued(node.name, found, len(node.arguments), tuple(name for name, _ in node.named))
    return found.result(
        value, [_argument(node, value, *pair, names) for pair in zip(order, given, strict=True)]
    )


def _accepted(kind: Type, accepts: frozenset[str]) -> bool:
    if kind == ANY:
        return True
    known = kinds(without_null(kind))
    return known <= accepts


def _argument(
    node: Filtered, value: Type, parameter: Parameter, argument: Node, names: Names
) -> Any:
    """The type of an argument; for one that names a field, the name itself, once it is known to be one."""
    kind = _infer(argument, names)
    if not _accepted(kind, parameter.kinds):
        message = f"the argument {parameter.name!r} of the filter {node.name!r} is {kind}"
        raise ExpressionError(message, f"it takes {' or '.join(sorted(parameter.kinds))}")
    if not parameter.field:
        return kind
    name = argument.value if isinstance(argument, Constant) else None
    for item in _items(value):
        if isinstance(item, ObjectOf) and isinstance(name, str):
            _field(item, name, f"the items of `{node.name}`")
    return name


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
    ListOfNodes: _list,
    ObjectOfNodes: _object,
    Compare: _compare,
    Logic: _logic,
    Negation: _negation,
    Arithmetic: _arithmetic,
    Minus: _minus,
    Join: _join,
    Either: _either,
    IsNone: _asked,
    IsDefined: _asked,
    Filtered: _filtered,
}
