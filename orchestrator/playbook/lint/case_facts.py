"""Case facts: what is known of values at a place, a case per way that earlier conditions can go.

A value is named by its path (`alert.host.name`) or the text of its expression. A case holds what is
not null, what is null, and what equals what. Facts that exclude each other make no case, so a
place without any case is never reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.playbook.language.ast import Constant, Item, Name, Node

MAX_CASES = 24

Literal = str | bool


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Facts that hold together."""

    not_null: frozenset[str] = field(default=frozenset())
    null: frozenset[str] = field(default=frozenset())
    same: frozenset[tuple[str, Literal]] = field(default=frozenset())  # equal
    other: frozenset[tuple[str, Literal]] = field(default=frozenset())  # not equal
    bounds: frozenset[tuple[str, str, float]] = field(default=frozenset())
    """(value, comparison, number)"""

    def plus(self, more: CaseFacts) -> CaseFacts | None:
        """Return the facts of both, or None if they exclude each other."""
        both = CaseFacts(
            self.not_null | more.not_null,
            self.null | more.null,
            self.same | more.same,
            self.other | more.other,
            self.bounds | more.bounds,
        )
        return None if both._contradicts() else both

    def shared(self, other: CaseFacts) -> CaseFacts:
        """Return the facts that hold in both."""
        return CaseFacts(
            self.not_null & other.not_null,
            self.null & other.null,
            self.same & other.same,
            self.other & other.other,
            self.bounds & other.bounds,
        )

    def low(self, value: str) -> float:
        """Return the lower bound of a value."""
        return max(
            (bound for name, sign, bound in self.bounds if name == value and sign in {">", ">="}),
            default=float("-inf"),
        )

    def _contradicts(self) -> bool:
        twice = len({name for name, _ in self.same}) < len(self.same)
        return bool(
            twice
            or self.not_null & self.null
            or self.same & self.other
            or any(map(self._empty, {name for name, *_ in self.bounds}))
        )

    def _empty(self, value: str) -> bool:
        """Whether no number satisfies the bounds of a value."""
        low = self.low(value)
        high = min(
            (bound for name, sign, bound in self.bounds if name == value and sign in {"<", "<="}),
            default=float("inf"),
        )
        open_ = {
            sign for name, sign, bound in self.bounds if name == value and bound in {low, high}
        } & {"<", ">"}
        return low > high or (low == high and bool(open_))


Cases = tuple[CaseFacts, ...]
ANYHOW: Cases = (CaseFacts(),)
"""The one case in which nothing is known."""


def combine(cases: Cases, more: Cases) -> Cases:
    """Return each case combined with each, without those that exclude each other."""
    return limit_cases(
        both for one in cases for other in more if (both := one.plus(other)) is not None
    )


def limit_cases(cases: Iterable[CaseFacts]) -> Cases:
    """Return the cases without repeats; too many become one with the facts that they share."""
    unique = tuple(dict.fromkeys(cases))
    if len(unique) <= MAX_CASES:
        return unique
    shared = unique[0]
    for case in unique[1:]:
        shared = shared.shared(case)
    return (shared,)


def fact_name(node: Node) -> str:
    """Return the name of a value in facts: its path, or the text of its expression."""
    match node:
        case Name(name):
            return name
        case Item(_, Constant(), path) if not path.startswith("("):
            return path
        case _:
            return repr(node)


def not_null(node: Node) -> CaseFacts:
    """Return the fact that a value is not null, and so is all that it was looked up in."""
    names = {fact_name(node)}
    while isinstance(node, Item):
        node = node.of
        names.add(fact_name(node))
    return CaseFacts(not_null=frozenset(names))


Implied = Mapping[str, Cases]
"""What follows from a value that is not null: the `when` of a step that ran was true."""
