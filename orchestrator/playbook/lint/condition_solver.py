"""What a condition says where it held (or did not), and whether a value can be null there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.playbook.language.ast import (
    Compare,
    Constant,
    Either,
    Filtered,
    IsDefined,
    IsNone,
    Item,
    ListOfNodes,
    Logic,
    Negation,
    Node,
)
from orchestrator.playbook.language.infer import Names, infer
from orchestrator.playbook.language.syntax import ExpressionError
from orchestrator.playbook.language.types import ANY, NULL, Type, members
from orchestrator.playbook.language.values import less, same
from orchestrator.playbook.lint.case_facts import (
    ANYHOW,
    Case,
    Cases,
    Implied,
    bounded,
    called,
    joined,
    there,
)

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NEGATED = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}


class Reasoner:
    """Reasons over expressions that see these names."""

    def __init__(self, names: Names, implied: Implied) -> None:
        self._names = names
        self._implied = implied

    def type_of(self, node: Node) -> Type:
        """Its type; ANY where that can't be told."""
        try:
            return infer(node, self._names)
        except ExpressionError:
            return ANY

    def assume(self, node: Node, cases: Cases, *, holds: bool) -> Cases:
        """The cases in which the condition comes out so; none: it never does."""
        match node:
            case Constant(value):
                return cases if bool(value) is holds else ()
            case Negation(of):
                return self.assume(of, cases, holds=not holds)
            case Logic(operator, left, right) if (operator == "and") is holds:
                return self.assume(right, self.assume(left, cases, holds=holds), holds=holds)
            case Logic(_, left, right):
                second = self.assume(right, self.assume(left, cases, holds=not holds), holds=holds)
                return bounded((*self.assume(left, cases, holds=holds), *second))
            case Either(test, then, otherwise):
                first = self.assume(then, self.assume(test, cases, holds=True), holds=holds)
                return bounded(
                    (
                        *first,
                        *self.assume(otherwise, self.assume(test, cases, holds=False), holds=holds),
                    )
                )
            case _:
                for fact in (*map(there, _looked_in(node)), *self._atom(node, holds=holds)):
                    cases = joined(
                        cases, self._with_implied(fact) if isinstance(fact, Case) else fact
                    )
                return cases

    def null_in(self, node: Node, case: Case) -> bool:
        """Whether it can be null in a case; of what nothing is known, it is taken not to be."""
        name = called(node)
        if name in case.there or name in case.null:
            return name in case.null
        match node:
            case Filtered("default", of, arguments, named):
                return self.missing_in(of, case) and any(
                    self.null_in(each, case)
                    for each in (*arguments, *(value for _, value in named))
                )
            case Either(test, then, otherwise):
                first, second = (
                    self.assume(test, (case,), holds=True),
                    self.assume(test, (case,), holds=False),
                )
                return any(self.null_in(then, one) for one in first) or any(
                    self.null_in(otherwise, one) for one in second
                )
            case _:
                kind = self.type_of(node)
                return kind != ANY and NULL in members(kind)

    def missing_in(self, node: Node, case: Case) -> bool:
        """Whether it can be null in a case, or what it is looked up in can."""
        match node:
            case Item(of):
                return self.null_in(node, case) or self.missing_in(of, case)
            case Filtered("default"):
                return self.null_in(node, case)
            case Filtered(_, of):
                return self.null_in(node, case) or self.missing_in(of, case)
            case _:
                return self.null_in(node, case)

    def _with_implied(self, fact: Case) -> Cases:
        cases: Cases = (fact,)
        for name in fact.there:
            cases = joined(cases, self._implied.get(name, ANYHOW))
        return cases

    def _atom(self, node: Node, *, holds: bool) -> Iterator[Case | Cases]:
        """What a test says that is made of no others."""
        match node:
            case IsNone(of):
                yield from self._null(of, holds=holds)
            case IsDefined(of):
                if holds and isinstance(of, Item):
                    yield there(of.of)
            case Compare("==" | "!=" as operator, left, right):
                yield from self._equal(left, right, holds=holds is (operator == "=="))
            case Compare("in" | "not in" as operator, left, ListOfNodes(items)) if all(
                isinstance(item, Constant) for item in items
            ):
                yield from self._among(left, items, holds=holds is (operator == "in"))
            case Compare("<" | ">" | "<=" | ">=" as operator, left, right):
                yield from self._ordered(operator if holds else _NEGATED[operator], left, right)
            case _:
                yield Case(there=frozenset({called(node)}), same=frozenset({(called(node), holds)}))

    def _null(self, of: Node, *, holds: bool) -> Iterator[Case | Cases]:
        kind = self.type_of(of)
        possible = kind == ANY or (NULL in members(kind) if holds else kind != NULL)
        if not possible:
            yield ()
        yield Case(null=frozenset({called(of)})) if holds else there(of)

    def _equal(self, left: Node, right: Node, *, holds: bool) -> Iterator[Case | Cases]:
        if isinstance(left, Constant):
            left, right = right, left
        match left, right:
            case Constant(one), Constant(two):
                yield ANYHOW if same(one, two) is holds else ()
            case _, Constant(None):
                yield from self._null(left, holds=holds)
            case _, Constant(str() | bool() as value):
                fact = frozenset({(called(left), value)})
                yield Case(same=fact) if holds else Case(other=fact)
                if holds:
                    yield from _through_default(left, right, same)
            case _, Constant(int() | float() as value) if holds:
                yield Case(
                    bounds=frozenset({(called(left), "<=", value), (called(left), ">=", value)})
                )
                yield from _through_default(left, right, same)
            case _:
                yield Case(same=frozenset({(f"{called(left)} == {called(right)}", holds)}))

    def _among(self, left: Node, items: tuple[Node, ...], *, holds: bool) -> Iterator[Case | Cases]:
        options = [tuple(self._equal(left, item, holds=holds)) for item in items]
        if holds:
            yield bounded(case for option in options for case in _all(option))
        else:
            for option in options:
                yield from option

    def _ordered(self, operator: str, left: Node, right: Node) -> Iterator[Case | Cases]:
        if isinstance(left, Constant):
            left, right, operator = right, left, _MIRRORED[operator]
        match left, right:
            case Constant(one), Constant(two):
                yield ANYHOW if _compared(operator, one, two) else ()
            case _, Constant(int() | float() as value):
                yield there(left)
                yield Case(bounds=frozenset({(called(left), operator, value)}))
                yield from _through_default(
                    left, right, lambda one, two: _compared(operator, one, two)
                )
            case _:
                yield there(left)
                yield there(right)


def _through_default(
    left: Node, right: Constant, test: Callable[[Any, Any], bool]
) -> Iterator[Case]:
    """`x | default(0) >= 5` says that x is there, as 0 is not."""
    match left:
        case Filtered("default", of, (Constant(value),), ()) if value is not None and not test(
            value, right.value
        ):
            yield there(of)


def _all(facts: tuple[Case | Cases, ...]) -> Cases:
    cases = ANYHOW
    for fact in facts:
        cases = joined(cases, (fact,) if isinstance(fact, Case) else fact)
    return cases


def _compared(operator: str, one: object, two: object) -> bool:
    match operator:
        case "<":
            return less(one, two)
        case ">":
            return less(two, one)
        case "<=":
            return not less(two, one)
        case _:
            return not less(one, two)


def _looked_in(node: Node) -> Iterator[Node]:
    """What an evaluated test has looked something up in, so that it cannot be null."""
    match node:
        case Item(of):
            yield of
        case Compare(_, left, right):
            yield from (*_looked_in(left), *_looked_in(right))
        case IsNone(of):
            yield from _looked_in(of)
        case Filtered(name, of) if name != "default":
            yield from _looked_in(of)
        case _:
            return
