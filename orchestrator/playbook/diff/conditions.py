"""How often a changed condition is true: more often, less often, or unknown."""

from __future__ import annotations

from collections import Counter
from enum import Enum

from orchestrator.playbook.language.ast import Comparison, Constant, Logic, Node
from orchestrator.playbook.language.syntax import parse


class ConditionChange(Enum):
    """How a condition changed."""

    WIDER = "wider"
    NARROWER = "narrower"
    OTHER = "other"

    @property
    def word(self) -> str:
        """The words after `runs`."""
        return {
            "wider": "more often",
            "narrower": "less often",
            "other": "under another condition",
        }[self.value]


def compare_conditions(before: str, after: str) -> ConditionChange:
    """Return whether `after` is true more often than `before`, less often, or neither."""
    return _compare(parse(before), parse(after))


def _compare(before: Node, after: Node) -> ConditionChange:
    for operator, more in (("and", ConditionChange.NARROWER), ("or", ConditionChange.WIDER)):
        was, now = (
            Counter(map(repr, _parts(before, operator))),
            Counter(map(repr, _parts(after, operator))),
        )
        if was < now:
            return more
        if now < was:
            return (
                ConditionChange.NARROWER if more is ConditionChange.WIDER else ConditionChange.WIDER
            )
        if (
            (lost := _only(before, after, operator))
            and (gained := _only(after, before, operator))
            and operator == "and"
        ):
            return _bound(lost, gained)
    return ConditionChange.OTHER


def _parts(node: Node, operator: str) -> list[Node]:
    if isinstance(node, Logic) and node.operator == operator:
        return [*_parts(node.left, operator), *_parts(node.right, operator)]
    return [node]


def _only(one: Node, other: Node, operator: str) -> Node | None:
    """Return the one part that the other does not have."""
    found = [part for part in _parts(one, operator) if part not in _parts(other, operator)]
    return found[0] if len(found) == 1 else None


def _bound(before: Node, after: Node) -> ConditionChange:
    """Compare bounds, such as `severity >= 4` that became `severity >= 3`."""
    match before, after:
        case Comparison(sign, left, Constant(int() | float() as was)), Comparison(
            other, same, Constant(int() | float() as now)
        ) if sign == other and left == same and sign in {"<", "<=", ">", ">="} and was != now:
            return (
                ConditionChange.WIDER
                if (now < was) is sign.startswith(">")
                else ConditionChange.NARROWER
            )
        case _:
            return ConditionChange.OTHER
