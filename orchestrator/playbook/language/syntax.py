"""What may stand inside `${{ }}`: Jinja2 parses, and only a whitelisted syntax tree comes out; nothing is ever compiled.

Everything that is not converted here is refused: calls, slices, `**`, `//`, tests but those below, unpacking, Jinja's
statements. The tree is our own, so that what evaluates it cannot meet a construct that nobody thought of.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.parser import Parser

from orchestrator.domain.errors import Invalid
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

MAX_SOURCE = 4_000  # characters of one expression
MAX_NODES = 300
MAX_DEPTH = 24
MAX_BRACKETS = 16  # keeps Jinja's recursive parser far from the interpreter's own limit, wherever it is called from
MAX_INTEGER = 2**53 - 1  # what JSON (RFC 8785) carries exactly


class ExpressionError(Invalid):
    """The expression is not one of ours, or cannot be evaluated over what there is. `mend`: what to write instead."""

    def __init__(self, message: str, mend: str | None = None) -> None:
        super().__init__(f"{message}; {mend}" if mend else message)
        self.message = message
        self.mend = mend


_ENVIRONMENT = jinja2.Environment(autoescape=False)  # noqa: S701  it parses; it never renders


@lru_cache(maxsize=8_192)
def parse(source: str) -> Node:
    """The tree of one bare expression. Raises ExpressionError for anything but the whitelist."""
    if len(source) > MAX_SOURCE:
        message = f"an expression of more than {MAX_SOURCE} characters"
        raise ExpressionError(message, "split it over several steps")
    if not source.strip():
        message = "an empty expression"
        raise ExpressionError(message)
    _refuse_before_parsing(source)
    try:
        parser = Parser(_ENVIRONMENT, source, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            message = (
                f"{_short(source)} is not one expression: it goes on after a part that is complete"
            )
            mend = "compare with `==`" if parser.stream.current.type == "assign" else None
            raise ExpressionError(message, mend)
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError) as error:
        message = f"{_short(source)} is not an expression: {str(error).splitlines()[0] if str(error) else 'too deep'}"
        raise ExpressionError(message) from error
    return _Converter().convert(tree, 0)


def scan(text: str, start: int) -> int:
    """Where the expression that starts at `start` ends: the index of its `}}`, or -1. Knows strings and brackets."""
    depth = 0
    index = start
    while index < len(text):
        character = text[index]
        if character in "'\"":
            index = _end_of_string(text, index)
            if index < 0:
                return -1
        elif character in "([{":
            depth += 1
        elif character == "}" and depth == 0:
            return index if text.startswith("}}", index) else -1
        elif character in ")]}":
            depth -= 1
        index += 1
    return -1


def _end_of_string(text: str, start: int) -> int:
    index = start + 1
    while index < len(text) and text[index] != text[start]:
        index += 2 if text[index] == "\\" else 1
    return index if index < len(text) else -1


_ESCAPES = "\\'\"nrt"


def _refuse_before_parsing(source: str) -> None:
    """Bounds the parser's recursion, and refuses escapes that Python's decoder would warn of or make half characters of."""
    depth = 0
    index = 0
    while index < len(source):
        character = source[index]
        if character in "'\"":
            end = _end_of_string(source, index)
            _refuse_escapes(source[index : end if end >= 0 else len(source)])
            index = end if end >= 0 else len(source)
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_BRACKETS:
            message = f"brackets nested more than {MAX_BRACKETS} deep"
            raise ExpressionError(message, "split it over several steps")
        index += 1


def _refuse_escapes(literal: str) -> None:
    index = literal.find("\\")
    while index >= 0:
        if index + 1 < len(literal) and literal[index + 1] not in _ESCAPES:
            message = f"unknown escape {literal[index : index + 2]} in a text"
            raise ExpressionError(
                message, "write \\\\ for a backslash; there are \\n \\r \\t \\' \\\" beside it"
            )
        index = literal.find("\\", index + 2)


class _Converter:
    """Jinja's tree -> ours. Counts nodes and depth."""

    def __init__(self) -> None:
        self._count = 0

    def convert(self, node: nodes.Expr | None, depth: int) -> Node:
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            message = f"an expression of more than {MAX_NODES} parts or {MAX_DEPTH} levels"
            raise ExpressionError(message, "split it over several steps")
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise ExpressionError(*_refusal(node))
        return handler(node, lambda child: self.convert(child, depth + 1))


Convert = Callable[[Any], Node]


def _constant(node: nodes.Const, _: Convert) -> Node:
    value = node.value
    if isinstance(value, float) and not math.isfinite(value):
        message = "a number too large"
        raise ExpressionError(message)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        message = "a number beyond 2^53"
        raise ExpressionError(message)
    return Constant(value)


def _name(node: nodes.Name, _: Convert) -> Node:
    return Constant(None) if node.name == "null" else Name(node.name)


def _attribute(node: nodes.Getattr, convert: Convert) -> Node:
    return _item(convert(node.node), Constant(node.attr))


def _subscript(node: nodes.Getitem, convert: Convert) -> Node:
    return _item(convert(node.node), convert(node.arg))


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
            message = "a key of an object that is not a text"
            raise ExpressionError(message, "write it in quotes")
        pairs.append((key.value, convert(pair.value)))
    if len({key for key, _ in pairs}) < len(pairs):
        message = "a key that is twice in an object"
        raise ExpressionError(message)
    return ObjectOfNodes(tuple(pairs))


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
        message = "a chain of comparisons"
        raise ExpressionError(message, "join two by `and`")
    operand = node.ops[0]
    return Compare(_COMPARISONS[operand.op], convert(node.expr), convert(operand.expr))


def _test(node: nodes.Test, convert: Convert) -> Node:
    if (
        node.args
        or node.kwargs
        or node.dyn_args
        or node.dyn_kwargs
        or node.name not in {"none", "defined"}
    ):
        message = f"the test `is {node.name}`"
        raise ExpressionError(
            message, "there are `is none` and `is defined`, and `not` before them"
        )
    of = convert(node.node)
    return IsNone(of) if node.name == "none" else IsDefined(of)


def _conditional(node: nodes.CondExpr, convert: Convert) -> Node:
    if node.expr2 is None:
        message = "an `if` without `else`"
        raise ExpressionError(message, "say what it is otherwise: `else none`")
    return Either(convert(node.test), convert(node.expr1), convert(node.expr2))


def _filter(node: nodes.Filter, convert: Convert) -> Node:
    if node.node is None or node.dyn_args or node.dyn_kwargs:
        message = f"unpacking into the filter {node.name!r}"
        raise ExpressionError(message, "write the arguments out")
    named = tuple((str(pair.key), convert(pair.value)) for pair in node.kwargs)
    return Filtered(
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
    nodes.List: lambda node, convert: ListOfNodes(tuple(convert(item) for item in node.items)),
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
    nodes.Concat: lambda node, convert: Join(tuple(convert(part) for part in node.nodes)),
    nodes.CondExpr: _conditional,
    nodes.Test: _test,
    nodes.Filter: _filter,
}

_REFUSED: dict[type[Any], tuple[str, str | None]] = {
    nodes.Call: ("a call", "there are filters: `x | lower`"),
    nodes.Slice: ("a slice", "take one item by its index, or `| first`"),
    nodes.Tuple: ("a tuple", "write a list: [a, b]"),
    nodes.Pow: ("a power", None),
    nodes.FloorDiv: ("`//`", "write `(a / b) | int`"),
}


def _refusal(node: object) -> tuple[str, str | None]:
    return _REFUSED.get(
        type(node), (f"`{type(node).__name__.lower()}` has no place in an expression", None)
    )


def _short(source: str) -> str:
    return f"`{source.strip()}`" if len(source) <= 80 else f"`{source.strip()[:77]}...`"
