"""Null safety: where an expression fails because a value can be null, or a list too short."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

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
    Negation,
    Node,
    ObjectLiteral,
    Slice,
)
from orchestrator.playbook.language.filters import FILTERS, bind_arguments
from orchestrator.playbook.language.references import children
from orchestrator.playbook.language.types import ListOf, without_null
from orchestrator.playbook.lint.case_facts import Cases, fact_name
from orchestrator.playbook.lint.condition_solver import ConditionSolver


@dataclass(frozen=True, slots=True)
class NullRisk:
    """A value that can be null, or a list that can be too short."""

    what: str
    lookup: bool = False  # whether a lookup in it fails, which `default` handles
    short: bool = False  # whether it is a list that can be too short


def null_risks(node: Node, cases: Cases, solver: ConditionSolver) -> Iterator[NullRisk]:
    """Yield each value with which evaluation fails in one of the cases."""
    return _Search(solver).all_in(node, cases)


class _Search:
    def __init__(self, solver: ConditionSolver) -> None:
        self._solver = solver

    def all_in(self, node: Node, cases: Cases) -> Iterator[NullRisk]:
        found = _SEARCHES.get(type(node))
        return found(self, node, cases) if found else iter(())

    def null(self, node: Node, cases: Cases, *, lookup: bool = False) -> Iterator[NullRisk]:
        """Yield a risk where the node can be null."""
        if any(self._solver.null_in(node, case) for case in cases):
            yield NullRisk(describe(node), lookup=lookup)

    def item(self, node: Item, cases: Cases) -> Iterator[NullRisk]:
        yield from self.all_in(node.of, cases)
        yield from self.all_in(node.key, cases)
        yield from self.null(node.of, cases, lookup=True)
        if (
            isinstance(node.key, Constant)
            and isinstance(node.key.value, int)
            and self._too_short(node.of, node.key.value, cases)
        ):
            yield NullRisk(describe(node.of), lookup=True, short=True)

    def _too_short(self, of: Node, index: int, cases: Cases) -> bool:
        wanted = index + 1 if index >= 0 else -index
        length = fact_name(FilterCall("length", of, (), ()))
        is_list = isinstance(without_null(self._solver.type_of(of)), ListOf) and not isinstance(
            of, ListLiteral
        )
        return is_list and any(
            not _at_least(case.low(length), length in _strict(case), wanted) for case in cases
        )

    def compare(self, node: Comparison, cases: Cases) -> Iterator[NullRisk]:
        yield from self.each((node.left, node.right), cases)
        if node.operator in {"<", ">", "<=", ">="}:
            yield from self.null(node.left, cases)
            yield from self.null(node.right, cases)
        if node.operator in {"in", "not in"}:
            yield from self.null(node.right, cases)

    def logic(self, node: Logic, cases: Cases) -> Iterator[NullRisk]:
        yield from self.needed(node.left, cases)
        yield from self.needed(
            node.right, self._solver.assume(node.left, cases, holds=node.operator == "and")
        )

    def either(self, node: Conditional, cases: Cases) -> Iterator[NullRisk]:
        yield from self.needed(node.test, cases)
        yield from self.all_in(node.then, self._solver.assume(node.test, cases, holds=True))
        yield from self.all_in(node.otherwise, self._solver.assume(node.test, cases, holds=False))

    def filtered(self, node: FilterCall, cases: Cases) -> Iterator[NullRisk]:
        filter_ = FILTERS[node.name]
        inside = self.all_in(node.of, cases)
        yield from (risk for risk in inside if not (risk.lookup and node.name == "default"))
        if "null" not in filter_.accepts:
            yield from self.null(node.of, cases)
        given = [*node.arguments, *(value for _, value in node.named)]
        order = bind_arguments(
            node.name, filter_, len(node.arguments), tuple(name for name, _ in node.named)
        )
        for parameter, argument in zip(order, given, strict=True):
            yield from (
                self.all_in(argument, cases)
                if "null" in parameter.kinds
                else self.needed(argument, cases)
            )

    def needed(self, node: Node, cases: Cases) -> Iterator[NullRisk]:
        """Yield the risks inside of a node, and the node itself where it can be null."""
        yield from self.all_in(node, cases)
        yield from self.null(node, cases)

    def each(self, nodes: tuple[Node, ...], cases: Cases) -> Iterator[NullRisk]:
        for node in nodes:
            yield from self.all_in(node, cases)

    def each_needed(self, nodes: tuple[Node, ...], cases: Cases) -> Iterator[NullRisk]:
        for node in nodes:
            yield from self.needed(node, cases)


_SEARCHES: dict[type, Callable[[_Search, Any, Cases], Iterator[NullRisk]]] = {
    Item: _Search.item,
    Slice: lambda search, node, cases: search.each_needed(children(node), cases),
    Comparison: _Search.compare,
    Logic: _Search.logic,
    Negation: lambda search, node, cases: search.needed(node.of, cases),
    Arithmetic: lambda search, node, cases: search.each_needed((node.left, node.right), cases),
    Minus: lambda search, node, cases: search.needed(node.of, cases),
    Concatenation: lambda search, node, cases: search.each_needed(node.parts, cases),
    Conditional: _Search.either,
    IsNone: lambda search, node, cases: search.all_in(node.of, cases),
    IsDefined: lambda search, node, cases: (
        risk for risk in search.all_in(node.of, cases) if not risk.lookup
    ),
    FilterCall: _Search.filtered,
    ListLiteral: lambda search, node, cases: search.each(node.items, cases),
    ObjectLiteral: lambda search, node, cases: search.each(
        tuple(value for _, value in node.pairs), cases
    ),
}


def describe(node: Node) -> str:
    """Return what messages call a value: its path, or the path that it is made of."""
    match node:
        case Item(path=path):
            return path
        case FilterCall(name, of):
            return f"{describe(of)} | {name}"
        case Constant(value):
            return "none" if value is None else repr(value)
        case _:
            name = fact_name(node)
            return name if name.isidentifier() else "a part of it"


def _strict(case: Any) -> frozenset[str]:
    return frozenset(name for name, sign, _ in case.bounds if sign == ">")


def _at_least(low: float, strict: bool, wanted: int) -> bool:  # noqa: FBT001  two parts of one bound
    return low >= wanted or (strict and low >= wanted - 1)
