"""The condition solver: what follows from a condition, and whether a value can be null under it.

Why not a library: an SMT solver such as Z3 (30 MB) needs a sort for every value, while the type of
many values here is unknown. The questions are small (null, equal, ordered), and "unknown" is an
allowed answer: lint then stays silent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from orchestrator.playbook.language.ast import (
    Comparison,
    Conditional,
    Constant,
    ExpressionError,
    FilterCall,
    IsDefined,
    IsNone,
    Item,
    ListLiteral,
    Logic,
    Negation,
    Node,
    Slice,
)
from orchestrator.playbook.language.infer import Names, infer
from orchestrator.playbook.language.types import ANY, NULL, Type, members
from orchestrator.playbook.language.values import is_equal, is_less
from orchestrator.playbook.lint.case_facts import (
    ANYHOW,
    CaseFacts,
    Cases,
    Implied,
    combine,
    fact_name,
    limit_cases,
    not_null,
)

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_NEGATED = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}


class ConditionSolver:
    """A solver over expressions that see these names."""

    def __init__(self, names: Names, implied: Implied) -> None:
        self._names = names
        self._implied = implied

    def type_of(self, node: Node) -> Type:
        """Return the type of a node; ANY where it cannot be inferred."""
        try:
            return infer(node, self._names)
        except ExpressionError:
            return ANY

    def assume(self, node: Node, cases: Cases, *, holds: bool) -> Cases:
        """Return the cases in which a condition is (or is not) true; empty if there are none."""
        match node:
            case Constant(value):
                return cases if bool(value) is holds else ()
            case Negation(of):
                return self.assume(of, cases, holds=not holds)
            case Logic(operator, left, right) if (operator == "and") is holds:
                return self.assume(right, self.assume(left, cases, holds=holds), holds=holds)
            case Logic(_, left, right):
                second = self.assume(right, self.assume(left, cases, holds=not holds), holds=holds)
                return limit_cases((*self.assume(left, cases, holds=holds), *second))
            case Conditional(test, then, otherwise):
                first = self.assume(then, self.assume(test, cases, holds=True), holds=holds)
                return limit_cases(
                    (
                        *first,
                        *self.assume(otherwise, self.assume(test, cases, holds=False), holds=holds),
                    )
                )
            case _:
                for fact in (*map(not_null, _containers(node)), *self._atom(node, holds=holds)):
                    cases = combine(
                        cases, self._with_implied(fact) if isinstance(fact, CaseFacts) else fact
                    )
                return cases

    def null_in(self, node: Node, case: CaseFacts) -> bool:
        """Whether a value can be null in a case. A value of unknown type counts as not null."""
        name = fact_name(node)
        if name in case.not_null or name in case.null:
            return name in case.null
        match node:
            case FilterCall("default", of, arguments, named):
                return self.missing_in(of, case) and any(
                    self.null_in(each, case)
                    for each in (*arguments, *(value for _, value in named))
                )
            case Conditional(test, then, otherwise):
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

    def missing_in(self, node: Node, case: CaseFacts) -> bool:
        """Whether a value, or one that it is looked up in, can be null in a case."""
        match node:
            case Item(of):
                return self.null_in(node, case) or self.missing_in(of, case)
            case FilterCall("default"):
                return self.null_in(node, case)
            case FilterCall(_, of) | Slice(of):
                return self.null_in(node, case) or self.missing_in(of, case)
            case _:
                return self.null_in(node, case)

    def _with_implied(self, fact: CaseFacts) -> Cases:
        cases: Cases = (fact,)
        for name in fact.not_null:
            cases = combine(cases, self._implied.get(name, ANYHOW))
        return cases

    def _atom(self, node: Node, *, holds: bool) -> Iterator[CaseFacts | Cases]:
        """Yield the facts of a test that has no inner tests."""
        match node:
            case IsNone(of):
                yield from self._null(of, holds=holds)
            case IsDefined(of):
                if holds and isinstance(of, Item):
                    yield not_null(of.of)
            case Comparison("==" | "!=" as operator, left, right):
                yield from self._equal(left, right, holds=holds is (operator == "=="))
            case Comparison("in" | "not in" as operator, left, ListLiteral(items)) if all(
                isinstance(item, Constant) for item in items
            ):
                yield from self._among(left, items, holds=holds is (operator == "in"))
            case Comparison("<" | ">" | "<=" | ">=" as operator, left, right):
                yield from self._ordered(operator if holds else _NEGATED[operator], left, right)
            case _:
                name = fact_name(node)
                yield CaseFacts(not_null=frozenset({name}), same=frozenset({(name, holds)}))

    def _null(self, of: Node, *, holds: bool) -> Iterator[CaseFacts | Cases]:
        kind = self.type_of(of)
        possible = kind == ANY or (NULL in members(kind) if holds else kind != NULL)
        if not possible:
            yield ()
        yield CaseFacts(null=frozenset({fact_name(of)})) if holds else not_null(of)

    def _equal(self, left: Node, right: Node, *, holds: bool) -> Iterator[CaseFacts | Cases]:
        if isinstance(left, Constant):
            left, right = right, left
        match left, right:
            case Constant(one), Constant(two):
                yield ANYHOW if is_equal(one, two) is holds else ()
            case _, Constant(None):
                yield from self._null(left, holds=holds)
            case _, Constant(str() | bool() as value):
                fact = frozenset({(fact_name(left), value)})
                yield CaseFacts(same=fact) if holds else CaseFacts(other=fact)
                if holds:
                    yield from _through_default(left, right, is_equal)
            case _, Constant(int() | float() as value) if holds:
                yield CaseFacts(
                    bounds=frozenset(
                        {(fact_name(left), "<=", value), (fact_name(left), ">=", value)}
                    )
                )
                yield from _through_default(left, right, is_equal)
            case _:
                yield CaseFacts(
                    same=frozenset({(f"{fact_name(left)} == {fact_name(right)}", holds)})
                )

    def _among(
        self, left: Node, items: tuple[Node, ...], *, holds: bool
    ) -> Iterator[CaseFacts | Cases]:
        options = [tuple(self._equal(left, item, holds=holds)) for item in items]
        if holds:
            yield limit_cases(case for option in options for case in _combine_all(option))
        else:
            for option in options:
                yield from option

    def _ordered(self, operator: str, left: Node, right: Node) -> Iterator[CaseFacts | Cases]:
        if isinstance(left, Constant):
            left, right, operator = right, left, _MIRRORED[operator]
        match left, right:
            case Constant(one), Constant(two):
                yield ANYHOW if _holds(operator, one, two) else ()
            case _, Constant(int() | float() as value):
                yield not_null(left)
                yield CaseFacts(bounds=frozenset({(fact_name(left), operator, value)}))
                yield from _through_default(
                    left, right, lambda one, two: _holds(operator, one, two)
                )
            case _:
                yield not_null(left)
                yield not_null(right)


def _through_default(
    left: Node, right: Constant, test: Callable[[Any, Any], bool]
) -> Iterator[CaseFacts]:
    """Yield that x is not null from `x | default(0) >= 5`, which is false for 0."""
    match left:
        case FilterCall("default", of, (Constant(value),), ()) if value is not None and not test(
            value, right.value
        ):
            yield not_null(of)


def _combine_all(facts: tuple[CaseFacts | Cases, ...]) -> Cases:
    cases = ANYHOW
    for fact in facts:
        cases = combine(cases, (fact,) if isinstance(fact, CaseFacts) else fact)
    return cases


def _holds(operator: str, one: object, two: object) -> bool:
    match operator:
        case "<":
            return is_less(one, two)
        case ">":
            return is_less(two, one)
        case "<=":
            return not is_less(two, one)
        case _:
            return not is_less(one, two)


def _containers(node: Node) -> Iterator[Node]:
    """Yield the values in which a test looks something up, so that they are not null."""
    match node:
        case Item(of):
            yield of
        case Comparison(_, left, right):
            yield from (*_containers(left), *_containers(right))
        case IsNone(of) | Slice(of):
            yield from _containers(of)
        case FilterCall(name, of) if name != "default":
            yield from _containers(of)
        case _:
            return
