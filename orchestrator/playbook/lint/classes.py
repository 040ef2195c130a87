"""Does the playbook ask for a class of alerts by a name that nothing gives? A letter that is missing, and it never starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from orchestrator.domain.alert import AlertClass
from orchestrator.playbook.language.ast import Compare, Constant, ListOfNodes, Node
from orchestrator.playbook.language.references import children, references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.lint.context import Draft
from orchestrator.playbook.lint.example import example
from orchestrator.playbook.lint.finding import Found, Rule

_CLASSES = [each.value for each in AlertClass]
_NEAR = 0.8
"""How alike a name has to be to one of ours: mappings of one's own may give classes of one's own."""


def _misspelt(draft: Draft) -> Iterator[Found]:
    for place in draft.places:
        if place.condition:
            for name in _asked_for(parse(place.value)):
                if name not in _CLASSES and (
                    near := difflib.get_close_matches(name, _CLASSES, n=1, cutoff=_NEAR)
                ):
                    yield Found(
                        place.path, f"no alert has the class {name!r}", f"did you mean {near[0]!r}?"
                    )


def _asked_for(node: Node) -> Iterator[str]:
    """The texts that a class is compared with."""
    match node:
        case Compare("==" | "!=", left, right) | Compare("in" | "not in", left, right):
            for one, other in ((left, right), (right, left)):
                if references(one) & {"alert.class", "event.class"}:
                    yield from (
                        each.value for each in _constants(other) if isinstance(each.value, str)
                    )
        case _:
            for child in children(node):
                yield from _asked_for(child)


def _constants(node: Node) -> list[Constant]:
    return [
        each
        for each in (node.items if isinstance(node, ListOfNodes) else (node,))
        if isinstance(each, Constant)
    ]


_TELL = """
- id: tell
  use: chat.post
  with: {channel: soc, text: An alert}
"""
CLASS = Rule(
    id="class-misspelt",
    sentence="A class of alerts that is almost the name of one.",
    why="Classes are compared as texts: with one letter wrong the playbook never starts, and nobody notices until it should have.",
    bad=example(_TELL, trigger="when: alert.class == 'c2_becon' and alert.severity >= 4"),
    good=example(_TELL, trigger="when: alert.class == 'c2_beacon' and alert.severity >= 4"),
    check=_misspelt,
)
