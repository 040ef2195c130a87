"""Which names and paths an expression looks up."""

from __future__ import annotations

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
from orchestrator.playbook.language.syntax import parse


def references(source: str | Node) -> set[str]:
    """The dotted paths that a bare expression looks up: `steps.reputation.malicious`; indices and unknown keys end a path."""
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
    """`a.b.c` of a chain of keys that are written out; of a chain with an index, the part before it."""
    match node:
        case Name(name):
            return name
        case Item(of, Constant(str(key))):
            return f"{start}.{key}" if (start := _path(of)) else None
        case _:
            return None


def children(node: Node) -> tuple[Node, ...]:
    """What a construct is put together of."""
    match node:
        case Constant() | Name():
            return ()
        case Item(of, key):
            return (of, key)
        case ListOfNodes(items):
            return items
        case ObjectOfNodes(pairs):
            return tuple(value for _, value in pairs)
        case Compare(_, left, right) | Logic(_, left, right) | Arithmetic(_, left, right):
            return (left, right)
        case Join(joined):
            return joined
        case Either(test, then, otherwise):
            return (test, then, otherwise)
        case Filtered(_, of, arguments, named):
            return (of, *arguments, *(value for _, value in named))
        case Negation(of) | Minus(of) | IsNone(of) | IsDefined(of):
            return (of,)
