"""Where an expression can fail because something is null: a lookup in it, a comparison of it, a text made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    Negation,
    Node,
    ObjectOfNodes,
)
from orchestrator.playbook.language.filters import FILTERS, argued
from orchestrator.playbook.language.types import ListOf, without_null
from orchestrator.playbook.lint.case_facts import Cases, called
from orchestrator.playbook.lint.condition_solver import Reasoner


@dataclass(frozen=True, slots=True)
class Hole:
    """What can be null (or a list that can be too short). `lookup`: something is looked up in it, which `default` takes."""

    what: str
    lookup: bool = False
    short: bool = False


def holes(node: Node, cases: Cases, reasoner: Reasoner) -> Iterator[Hole]:
    """Each place where evaluation fails in one of the cases."""
    return _Search(reasoner).all_in(node, cases)


class _Search:
    def __init__(self, reasoner: Reasoner) -> None:
        self._reasoner = reasoner

    def all_in(self, node: Node, cases: Cases) -> Iterator[Hole]:
        found = _SEARCHES.get(type(node))
        return found(self, node, cases) if found else iter(())

    def null(self, node: Node, cases: Cases, *, lookup: bool = False) -> Iterator[Hole]:
        """A hole where it can be null."""
        if any(self._reasoner.null_in(node, case) for case in cases):
            yield Hole(spoken(node), lookup=lookup)

    def item(self, node: Item, cases: Cases) -> Iterator[Hole]:
        yield from self.all_in(node.of, cases)
        yield from self.all_in(node.key, cases)
        yield from self.null(node.of, cases, lookup=True)
        if (
            isinstance(node.key, Constant)
            and isinstance(node.key.value, int)
            and self._too_short(node.of, node.key.value, cases)
        ):
            yield Hole(spoken(node.of), lookup=True, short=True)

    def _too_short(self, of: Node, index: int, cases: Cases) -> bool:
        wanted = index + 1 if index >= 0 else -index
        length = called(Filtered("length", of, (), ()))
        is_list = isinstance(without_null(self._reasoner.type_of(of)), ListOf) and not isinstance(
            of, ListOfNodes
        )
        return is_list and any(
            not _at_least(case.low(length), length in _strict(case), wanted) for case in cases
        )

    def compare(self, node: Compare, cases: Cases) -> Iterator[Hole]:
        yield from self.each((node.left, node.right), cases)
        if node.operator in {"<", ">", "<=", ">="}:
            yield from self.null(node.left, cases)
            yield from self.null(node.right, cases)
        if node.operator in {"in", "not in"}:
            yield from self.null(node.right, cases)

    def logic(self, node: Logic, cases: Cases) -> Iterator[Hole]:
        yield from self.needed(node.left, cases)
        yield from self.needed(
            node.right, self._reasoner.assume(node.left, cases, holds=node.operator == "and")
        )

    def either(self, node: Either, cases: Cases) -> Iterator[Hole]:
        yield from self.needed(node.test, cases)
        yield from self.all_in(node.then, self._reasoner.assume(node.test, cases, holds=True))
        yield from self.all_in(node.otherwise, self._reasoner.assume(node.test, cases, holds=False))

    def filtered(self, node: Filtered, cases: Cases) -> Iterator[Hole]:
        filter_ = FILTERS[node.name]
        inside = self.all_in(node.of, cases)
        yield from (hole for hole in inside if not (hole.lookup and node.name == "default"))
        if "null" not in filter_.accepts:
            yield from self.null(node.of, cases)
        given = [*node.arguments, *(value for _, value in node.named)]
        order = argued(
            node.name, filter_, len(node.arguments), tuple(name for name, _ in node.named)
        )
        for parameter, argument in zip(order, given, strict=True):
            yield from (
                self.all_in(argument, cases)
                if "null" in parameter.kinds
                else self.needed(argument, cases)
            )

    def needed(self, node: Node, cases: Cases) -> Iterator[Hole]:
        """Its own holes, and itself where it can be null."""
        yield from self.all_in(node, cases)
        yield from self.null(node, cases)

    def each(self, nodes: tuple[Node, ...], cases: Cases) -> Iterator[Hole]:
        for node in nodes:
            yield from self.all_in(node, cases)

    def each_needed(self, nodes: tuple[Node, ...], cases: Cases) -> Iterator[Hole]:
        for node in nodes:
            yield from self.needed(node, cases)


_SEARCHES: dict[type, Callable[[_Search, Any, Cases], Iterator[Hole]]] = {
    Item: _Search.item,
    Compare: _Search.compare,
    Logic: _Search.logic,
    Negation: lambda search, node, cases: search.needed(node.of, cases),
    Arithmetic: lambda search, node, cases: search.each_needed((node.left, node.right), cases),
    Minus: lambda search, node, cases: search.needed(node.of, cases),
    Join: lambda search, node, cases: search.each_needed(node.parts, cases),
    Either: _Search.either,
    IsNone: lambda search, node, cases: search.all_in(node.of, cases),
    IsDefined: lambda search, node, cases: (
        hole for hole in search.all_in(node.of, cases) if not hole.lookup
    ),
    Filtered: _Search.filtered,
    ListOfNodes: lambda search, node, cases: search.each(node.items, cases),
    ObjectOfNodes: lambda search, node, cases: search.each(
        tuple(value for _, value in node.pairs), cases
    ),
}


def spoken(node: Node) -> str:
    """How a message calls a value: its path, or the path that it is made of."""
    match node:
        case Item(path=path):
            return path
        case Filtered(name, of):
            return f"{spoken(of)} | {name}"
        case Constant(value):
            return "none" if value is None else repr(value)
        case _:
            name = called(node)
            return name if name.isidentifier() else "a part of it"


def _strict(case: Any) -> frozenset[str]:
    return frozenset(name for name, sign, _ in case.bounds if sign == ">")


def _at_least(low: float, strict: bool, wanted: int) -> bool:  # noqa: FBT001  two halves of one bound
    return low >= wanted or (strict and low >= wanted - 1)
