"""Lint rule: an alert class that is almost the name of a known one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from orchestrator.domain.alert import AlertClass
from orchestrator.playbook.language.ast import Comparison, Constant, ListLiteral, Node
from orchestrator.playbook.language.references import children, references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.lint.context import LintContext
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example

_CLASSES = [each.value for each in AlertClass]
_NEAR = 0.8
"""How similar a name must be to a known class: own mappings may add own classes."""


def _misspelled(context: LintContext) -> Iterator[RuleHit]:
    for place in context.expressions:
        if place.condition:
            for name in _compared_classes(parse(place.value)):
                if name not in _CLASSES and (
                    near := difflib.get_close_matches(name, _CLASSES, n=1, cutoff=_NEAR)
                ):
                    yield RuleHit(
                        place.path, f"no alert has the class {name!r}", f"did you mean {near[0]!r}?"
                    )


def _compared_classes(node: Node) -> Iterator[str]:
    """Yield the texts that a class is compared with."""
    match node:
        case Comparison("==" | "!=", left, right) | Comparison("in" | "not in", left, right):
            for one, other in ((left, right), (right, left)):
                if references(one) & {"alert.class", "event.class"}:
                    yield from (
                        each.value for each in _constants(other) if isinstance(each.value, str)
                    )
        case _:
            for child in children(node):
                yield from _compared_classes(child)


def _constants(node: Node) -> list[Constant]:
    return [
        each
        for each in (node.items if isinstance(node, ListLiteral) else (node,))
        if isinstance(each, Constant)
    ]


_TELL = """
- id: tell
  use: chat.post
  with: {channel: soc, text: An alert}
"""
CLASS = LintRule(
    id="class-misspelled",
    summary="An alert class that is almost the name of a known class.",
    why=(
        "Classes are compared as text. With one wrong letter the playbook never starts, and "
        "no one notices until an attack."
    ),
    bad=example(_TELL, trigger="when: alert.class == 'c2_becon' and alert.severity >= 4"),
    good=example(_TELL, trigger="when: alert.class == 'c2_beacon' and alert.severity >= 4"),
    check=_misspelled,
)
