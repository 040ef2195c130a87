"""The whitelist of the expression language: which constructs of Jinja2 are converted to our tree.

Everything that is not listed here is refused: calls, slices with a step, `**`, `//`, tests other
than `none` and `defined`, unpacking, Jinja's statements. The evaluator only knows our tree, so it
cannot meet a construct that was never reviewed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from jinja2 import nodes

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

MAX_NODES = 300
MAX_DEPTH = 24
MAX_INTEGER = 2**53 - 1  # the largest integer that JSON (RFC 8785) carries exactly


def convert(tree: nodes.Expr) -> Node:
    """Return our tree of Jinja's. Raises ExpressionError for what is not listed, or too large."""
    return _Converter().convert(tree, 0)


class _Converter:
    """A conversion that counts nodes and depth."""

    def __init__(self) -> None:
        self._count = 0

    def convert(self, node: nodes.Expr | None, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            message = f"the expression has more than {MAX_NODES} parts or {MAX_DEPTH} levels"
            raise ExpressionError(message, "split it over several steps")
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise ExpressionError(*_refusal(node))
        return handler(node, lambda child: self.convert(child, depth + 1))


Convert = Callable[[Any], Node]


def _constant(node: nodes.Const, _: Convert) -> Node:
    value = node.value
    if isinstance(value, float) and not math.isfinite(value):
        message = "the number is too large"
        raise ExpressionError(message)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        message = "the number is beyond 2^53"
        raise ExpressionError(message)
    return Constant(value)


def _name(node: nodes.Name, _: Convert) -> Node:
    return Constant(None) if node.name == "null" else Name(node.name)


def _attribute(node: nodes.Getattr, convert: Convert) -> Node:
    return _item(convert(node.node), Constant(node.attr))


def _subscript(node: nodes.Getitem, convert: Convert) -> Node:
    if isinstance(node.arg, nodes.Slice):
        return _slice(node.node, node.arg, convert)
    return _item(convert(node.node), convert(node.arg))


def _slice(of: nodes.Expr, bounds: nodes.Slice, convert: Convert) -> Node:
    if bounds.step is not None:
        message = "a slice with a step is not supported"
        raise ExpressionError(message, "write [start:stop]")
    start, stop = (
        None if bound is None else convert(bound) for bound in (bounds.start, bounds.stop)
    )
    return Slice(convert(of), start, stop)


def _item(of: Node, key: Node) -> Item:
    start = of.path if isinstance(of, Item) else of.name if isinstance(of, Name) else "(...)"
    match key:
        case Constant(str(name)) if name.isidentifier():
            return Item(of, key, f"{start}.{name}")
        case Constant(value):
            return Item(of, key, f"{start}[{value!r}]")
        case _:
            return Item(of, key, f"{start}[...]")


def _object(node: nodes.Dict, convert: Convert) -> Node:
    pairs = []
    for pair in node.items:
        key = convert(pair.key)
        if not (isinstance(key, Constant) and isinstance(key.value, str)):
            message = "the key of an object is not a text"
            raise ExpressionError(message, "write it in quotes")
        pairs.append((key.value, convert(pair.value)))
    if len({key for key, _ in pairs}) < len(pairs):
        message = "a key appears twice in an object"
        raise ExpressionError(message)
    return ObjectLiteral(tuple(pairs))


_COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "lt": "<",
    "lteq": "<=",
    "gt": ">",
    "gteq": ">=",
    "in": "in",
    "notin": "not in",
}


def _compare(node: nodes.Compare, convert: Convert) -> Node:
    if len(node.ops) != 1:
        message = "chained comparisons are not supported"
        raise ExpressionError(message, "join two comparisons with `and`")
    operand = node.ops[0]
    return Comparison(_COMPARISONS[operand.op], convert(node.expr), convert(operand.expr))


def _test(node: nodes.Test, convert: Convert) -> Node:
    if (
        node.args
        or node.kwargs
        or node.dyn_args
        or node.dyn_kwargs
        or node.name not in {"none", "defined"}
    ):
        message = f"the test `is {node.name}` is not supported"
        raise ExpressionError(message, "use `is none` or `is defined`, with or without `not`")
    of = convert(node.node)
    return IsNone(of) if node.name == "none" else IsDefined(of)


def _conditional(node: nodes.CondExpr, convert: Convert) -> Node:
    if node.expr2 is None:
        message = "an `if` has no `else`"
        raise ExpressionError(message, "add one: `else none`")
    return Conditional(convert(node.test), convert(node.expr1), convert(node.expr2))


def _filter(node: nodes.Filter, convert: Convert) -> Node:
    if node.node is None or node.dyn_args or node.dyn_kwargs:
        message = f"the arguments of the filter {node.name!r} are unpacked"
        raise ExpressionError(message, "write each argument")
    named = tuple((str(pair.key), convert(pair.value)) for pair in node.kwargs)
    return FilterCall(
        node.name, convert(node.node), tuple(convert(argument) for argument in node.args), named
    )


def _arithmetic(operator: str) -> Callable[[Any, Convert], Node]:
    return lambda node, convert: Arithmetic(operator, convert(node.left), convert(node.right))


def _logic(operator: str) -> Callable[[Any, Convert], Node]:
    return lambda node, convert: Logic(operator, convert(node.left), convert(node.right))


_HANDLERS: dict[type[Any], Callable[[Any, Convert], Node]] = {
    nodes.Const: _constant,
    nodes.Name: _name,
    nodes.Getattr: _attribute,
    nodes.Getitem: _subscript,
    nodes.List: lambda node, convert: ListLiteral(tuple(convert(item) for item in node.items)),
    nodes.Dict: _object,
    nodes.Compare: _compare,
    nodes.And: _logic("and"),
    nodes.Or: _logic("or"),
    nodes.Not: lambda node, convert: Negation(convert(node.node)),
    nodes.Add: _arithmetic("+"),
    nodes.Sub: _arithmetic("-"),
    nodes.Mul: _arithmetic("*"),
    nodes.Div: _arithmetic("/"),
    nodes.Mod: _arithmetic("%"),
    nodes.Neg: lambda node, convert: Minus(convert(node.node)),
    nodes.Concat: lambda node, convert: Concatenation(tuple(convert(part) for part in node.nodes)),
    nodes.CondExpr: _conditional,
    nodes.Test: _test,
    nodes.Filter: _filter,
}

_REFUSED: dict[type[Any], tuple[str, str | None]] = {
    nodes.Call: ("function calls are not supported", "use a filter: `x | lower`"),
    nodes.Tuple: ("tuples are not supported", "write a list: [a, b]"),
    nodes.Pow: ("`**` is not supported", None),
    nodes.FloorDiv: ("`//` is not supported", "write `(a / b) | int`"),
}


def _refusal(node: object) -> tuple[str, str | None]:
    kind = type(node).__name__.lower()
    return _REFUSED.get(type(node), (f"`{kind}` is not supported in an expression", None))
