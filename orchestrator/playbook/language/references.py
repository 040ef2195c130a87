"""The names and paths that an expression looks up."""

from __future__ import annotations

from typing import assert_never

from orchestrator.playbook.language.ast import (
    Arithmetic,
    Comparison,
    Concatenation,
    Conditional,
    Constant,
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
from orchestrator.playbook.language.syntax import parse


def references(source: str | Node) -> set[str]:
    """Return the dotted paths that a bare expression looks up: `steps.reputation.malicious`.

    A path ends before an index and before a key that is not a literal.
    """
    found: set[str] = set()
    _collect(parse(source) if isinstance(source, str) else source, found)
    return found


def _collect(node: Node, found: set[str]) -> None:
    if isinstance(node, (Name, Item)) and (path := _path(node)):
        found.add(path)
        return
    for child in children(node):
        _collect(child, found)


def _path(node: Node) -> str | None:
    """Return `a.b.c` for a chain of literal keys; None for one with an index."""
    match node:
        case Name(name):
            return name
        case Item(of, Constant(str(key))):
            return f"{start}.{key}" if (start := _path(of)) else None
        case _:
            return None


def children(node: Node) -> tuple[Node, ...]:
    """Return the direct parts of a node."""
    match node:
        case Constant() | Name():
            return ()
        case Negation(of) | Minus(of) | IsNone(of) | IsDefined(of):
            return (of,)
        case Item(left, right) | Comparison(_, left, right) | Logic(_, left, right):
            return (left, right)
        case Arithmetic(_, left, right):
            return (left, right)
        case _:
            return _many_children(node)


def _many_children(
    node: ListLiteral | ObjectLiteral | Concatenation | Conditional | Slice | FilterCall,
) -> tuple[Node, ...]:
    match node:
        case ListLiteral(parts) | Concatenation(parts):
            return parts
        case ObjectLiteral(pairs):
            return tuple(value for _, value in pairs)
        case Conditional(test, then, otherwise):
            return (test, then, otherwise)
        case Slice(of, start, stop):
            return (of, *(bound for bound in (start, stop) if bound is not None))
        case FilterCall(_, of, arguments, named):
            return (of, *arguments, *(value for _, value in named))
        case _:
            assert_never(node)
