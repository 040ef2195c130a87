"""Does a condition hold more often than it did? Told where one only adds to the other."""

from __future__ import annotations

from collections import Counter
from enum import Enum

from orchestrator.playbook.language.ast import Compare, Constant, Logic, Node
from orchestrator.playbook.language.syntax import parse


class Reach(Enum):
    """How a condition came to hold."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"

    @property
    def word(self) -> str:
        """For `runs ...`."""
        return {
            "wider": "more often",
            "narrower": "less often",
            "other": "under another condition",
        }[self.value]


def compared(before: str, after: str) -> Reach:
    """Whether `after` holds more often, less often, or that can't be told."""
    return _compared(parse(before), parse(after))


def _compared(before: Node, after: Node) -> Reach:
    for operator, more in (("and", Reach.NARROWER), ("or", Reach.WIDER)):
        was, now = (
            Counter(map(repr, _parts(before, operator))),
            Counter(map(repr, _parts(after, operator))),
        )
        if was < now:
            return more
        if now < was:
            return Reach.NARROWER if more is Reach.WIDER else Reach.WIDER
        if (
            (lost := _only(before, after, operator))
            and (gained := _only(after, before, operator))
            and operator == "and"
        ):
            return _bound(lost, gained)
    return Reach.OTHER


def _parts(node: Node, operator: str) -> list[Node]:
    if isinstance(node, Logic) and node.operator == operator:
        return [*_parts(node.left, operator), *_parts(node.right, operator)]
    return [node]


def _only(one: Node, other: Node, operator: str) -> Node | None:
    """The one part that the other does not have."""
    found = [part for part in _parts(one, operator) if part not in _parts(other, operator)]
    return found[0] if len(found) == 1 else None


def _bound(before: Node, after: Node) -> Reach:
    """`severity >= 4` that became `severity >= 3`."""
    match before, after:
        case Compare(sign, left, Constant(int() | float() as was)), Compare(
            other, same, Constant(int() | float() as now)
        ) if sign == other and left == same and sign in {"<", "<=", ">", ">="} and was != now:
            return Reach.WIDER if (now < was) is sign.startswith(">") else Reach.NARROWER
        case _:
            return Reach.OTHER
