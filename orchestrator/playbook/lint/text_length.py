"""The lint rule about texts that can be longer than their input takes, where none is shortened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from orchestrator.domain.alert import Alert
from orchestrator.playbook.language.ast import (
    Concatenation,
    Conditional,
    Constant,
    FilterCall,
    Item,
    Node,
    Slice,
)
from orchestrator.playbook.language.templates import is_template, template_parts
from orchestrator.playbook.language.values import text
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example
from orchestrator.playbook.lint.untrusted_text import ATTACKER_FIELDS

_SAME_LENGTH = frozenset({"lower", "upper", "trim"})


def _too_long(context: LintContext) -> Iterator[RuleHit]:
    for place in context.expressions:
        if place.schema is not None:
            yield from _in_value(place.value, place.schema, place.path)


def _in_value(value: Any, schema: Mapping[str, Any], path: Path) -> Iterator[RuleHit]:
    if isinstance(value, dict):
        properties: Mapping[str, Any] = schema.get("properties", {})
        for key, part in value.items():
            yield from _in_value(part, properties.get(key, {}), (*path, key))
    elif isinstance(value, str) and is_template(value):
        limit = schema.get("maxLength")
        if limit is None or schema.get("x-shortened") or (longest := _longest(value)) <= limit:
            return
        size = "of any length" if longest == math.inf else f"of up to {int(longest)} characters"
        message = f"input {path[-1]!r} takes at most {limit} characters, and can get a text {size}"
        yield RuleHit(path, message, "shorten the part that can be long: `x | truncate(60)`")


def _longest(template: str) -> float:
    """Return how long a template's text can be, as far as that is known; parts unknown are 0."""
    pieces = template_parts(template)
    return sum(len(piece) if isinstance(piece, str) else _of_node(piece) for piece in pieces)


def _of_node(node: Node) -> float:
    match node:
        case Constant(None):
            return 0
        case Constant(value):
            return len(text(value))
        case Item(path=path):
            return _of_path(path)
        case Concatenation(parts):
            return sum(map(_of_node, parts))
        case Conditional(_, then, otherwise):
            return max(_of_node(then), _of_node(otherwise))
        case FilterCall() as call:
            return _of_filter(call)
        case Slice(of, None | Constant(), Constant(int(stop))) if stop >= 0:
            return min(_of_node(of), stop)
        case Slice(of):
            return _of_node(of)
        case _:
            return 0


def _of_filter(call: FilterCall) -> float:
    if call.name in _SAME_LENGTH:
        return _of_node(call.of)
    match call:
        case FilterCall("truncate", of, (Constant(int(length)),), ()):
            return min(_of_node(of), length)
        case FilterCall("default", of, (otherwise,), ()):
            return max(_of_node(of), _of_node(otherwise))
        case _:
            return 0


def _of_path(path: str) -> float:
    name = path.removeprefix("alert.").removeprefix("event.")
    if name == path:
        return 0
    if (limit := _limits().get(name)) is not None:
        return limit
    return math.inf if name in ATTACKER_FIELDS else 0


@cache
def _limits() -> dict[str, int]:
    """Return the longest text of each field of an alert that has a limit."""
    properties = Alert.model_json_schema()["properties"]
    return {name: each["maxLength"] for name, each in properties.items() if "maxLength" in each}


TOO_LONG = LintRule(
    id="text-too-long",
    summary="A text that can be longer than its input takes.",
    why=(
        "Titles and messages are shortened with an ellipsis. A channel, a key and every other "
        "identifier is not, because a part of it names something else: the step fails."
    ),
    bad=example("""
        - id: tell
          use: chat.post
          with: {channel: "soc-${{ alert.title }}", text: A beacon}
        """),
    good=example("""
        - id: tell
          use: chat.post
          with: {channel: "soc-${{ alert.title | truncate(60) }}", text: A beacon}
        """),
    check=_too_long,
)
