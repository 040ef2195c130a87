"""What is known of values at a place: one case per way in which the conditions before it can have come out.

A value is called by its path (`alert.host.name`), or by how its expression reads. A case holds what is there, what is null,
what equals what; facts that exclude each other make no case, so that a place without any case is never reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.playbook.language.ast import Constant, Item, Name, Node

MOST_CASES = 24

Literal = str | bool


@dataclass(frozen=True, slots=True)
class Case:
    """Facts that hold together. `bounds`: (value, comparison, number)."""

    there: frozenset[str] = field(default=frozenset())
    null: frozenset[str] = field(default=frozenset())
    same: frozenset[tuple[str, Literal]] = field(default=frozenset())
    other: frozenset[tuple[str, Literal]] = field(default=frozenset())
    bounds: frozenset[tuple[str, str, float]] = field(default=frozenset())

    def plus(self, more: Case) -> Case | None:
        """Both; None where they exclude each other."""
        both = Case(
            self.there | more.there,
            self.null | more.null,
            self.same | more.same,
            self.other | more.other,
            self.bounds | more.bounds,
        )
        return None if both._contradicts() else both

    def shared(self, other: Case) -> Case:
        """What holds in both."""
        return Case(
            self.there & other.there,
            self.null & other.null,
            self.same & other.same,
            self.other & other.other,
            self.bounds & other.bounds,
        )

    def low(self, value: str) -> float:
        """At least how much it is."""
        return max(
            (bound for name, sign, bound in self.bounds if name == value and sign in {">", ">="}),
            default=float("-inf"),
        )

    def _contradicts(self) -> bool:
        twice = len({name for name, _ in self.same}) < len(self.same)
        return bool(
            twice
            or self.there & self.null
            or self.same & self.other
            or any(map(self._empty, {name for name, *_ in self.bounds}))
        )

    def _empty(self, value: str) -> bool:
        """Whether no number is left for it."""
        low = self.low(value)
        high = min(
            (bound for name, sign, bound in self.bounds if name == value and sign in {"<", "<="}),
            default=float("inf"),
        )
        open_ = {
            sign for name, sign, bound in self.bounds if name == value and bound in {low, high}
        } & {"<", ">"}
        return low > high or (low == high and bool(open_))


Cases = tuple[Case, ...]
ANYHOW: Cases = (Case(),)
"""Nothing is known."""


def joined(cases: Cases, more: Cases) -> Cases:
    """Both at once: each case with each."""
    return bounded(both for one in cases for other in more if (both := one.plus(other)) is not None)


def bounded(cases: Iterable[Case]) -> Cases:
    """Without repeats; where they are too many, what they share."""
    unique = tuple(dict.fromkeys(cases))
    if len(unique) <= MOST_CASES:
        return unique
    shared = unique[0]
    for case in unique[1:]:
        shared = shared.shared(case)
    return (shared,)


def called(node: Node) -> str:
    """How facts call a value: its path, else how its expression reads."""
    match node:
        case Name(name):
            return name
        case Item(_, Constant(), path) if not path.startswith("("):
            return path
        case _:
            return repr(node)


def there(node: Node) -> Case:
    """That it is not null; then what it was looked up in is not null either."""
    names = {called(node)}
    while isinstance(node, Item):
        node = node.of
        names.add(called(node))
    return Case(there=frozenset(names))


Implied = Mapping[str, Cases]
"""What has to have been so where a value is there: a step that ran was let through by its `when`."""
