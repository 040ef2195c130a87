"""Lint rules about untrusted text: tests on it that decide alone, and triggers that match too much.

The rules look for tests that suffice to make a condition true (or false). `a and b` needs both,
`a or b` needs one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.language.ast import (
    Comparison,
    Constant,
    IsDefined,
    IsNone,
    Logic,
    Negation,
    Node,
)
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext, StepSite
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example

ATTACKER_FIELDS = (
    "title",
    "url",
    "file.name",
    "file.path",
    "process.name",
    "process.command_line",
    "remote.domain",
)
"""Fields of an alert whose text an attacker can choose. `rule` is not one: the product names it."""

FIELDS_WITHOUT_KIND = (
    "severity",
    "severity_name",
    "resolved",
    "time",
    "age",
    "id",
    "incident_id",
    "dedup_key",
    "raw_sha256",
)
"""Fields of an alert that do not say what kind it is."""

_OF_AN_ALERT = re.compile(r"(?:alert|event|steps\.[a-z0-9_]+\.event)\.(.+)")

Predicate = Callable[[Node, bool], bool | None]
"""Takes a test and its outcome; returns whether it suffices, or None if it does not matter."""


def _suffices(node: Node, predicate: Predicate, *, holds: bool = True) -> bool | None:
    """Whether the tests that match the predicate suffice to make a condition `holds`."""
    match node:
        case Negation(of):
            return _suffices(of, predicate, holds=not holds)
        case Logic(operator, left, right):
            both = [
                _suffices(left, predicate, holds=holds),
                _suffices(right, predicate, holds=holds),
            ]
            return _combine(both, all_needed=(operator == "and") is holds)
        case Constant():
            return None
        case _:
            return predicate(node, holds)


def _combine(verdicts: list[bool | None], *, all_needed: bool) -> bool | None:
    known = [verdict for verdict in verdicts if verdict is not None]
    return (all(known) if all_needed else any(known)) if known else None


def _is_hostile(node: Node, _: bool) -> bool | None:  # noqa: FBT001  the signature of a predicate
    if isinstance(node, (IsNone, IsDefined)) or (
        isinstance(node, Comparison) and Constant(None) in (node.left, node.right)
    ):
        return None
    seen = references(node)
    return bool(seen) and all(_field(path) in ATTACKER_FIELDS for path in seen) if seen else None


def _field(path: str) -> str:
    found = _OF_AN_ALERT.fullmatch(path)
    return found[1] if found else ""


def _hostile(context: LintContext) -> Iterator[RuleHit]:
    reported: set[Path] = set()
    for site in context.sites:
        contains = isinstance(site.step, plan.Use) and site.step.effect in {
            Effect.CONTAIN,
            Effect.DESTROY,
        }
        for found in (
            _decided_by_text(context, site) if contains and context.cases(site.path) else ()
        ):
            if found.path not in reported:
                reported.add(found.path)
                yield found


def _decided_by_text(context: LintContext, site: StepSite) -> Iterator[RuleHit]:
    name = f"{site.step.connection}.{site.step.action}" if isinstance(site.step, plan.Use) else ""
    fix = "add a test on a verdict or the inventory, or ask a person (`approve:`)"
    for each in site.lineage:
        path: Path = (*each.path, "approve", "when")
        if (place := context.condition_at(path)) and _suffices(
            parse(place.value), _is_hostile, holds=False
        ):
            yield RuleHit(
                path,
                f"text that an attacker can choose decides alone if people are asked about {name}",
                fix,
            )
    if any(each.step.approve and each.step.approve.when is None for each in site.lineage):
        return
    verdicts = {
        path: _suffices(parse(source), _is_hostile) for path, source in _ways(context, site)
    }
    own = [verdict for path, verdict in verdicts.items() if path != ("trigger", "when")]
    deciding = own if any(verdict is not None for verdict in own) else list(verdicts.values())
    if _combine(deciding, all_needed=True):
        path = next(path for path, verdict in verdicts.items() if verdict)
        yield RuleHit(path, f"text that an attacker can choose decides alone if {name} runs", fix)


def _ways(context: LintContext, site: StepSite) -> Iterator[tuple[Path, str]]:
    """Yield the conditions on the way to a step, from the innermost to that of the trigger."""
    inner: Path = ()
    for each in reversed(site.lineage):
        if inner[: len(each.path) + 1] == (*each.path, "choose"):
            yield from _conditions(context, (*inner[: len(each.path) + 2], "when"))
        yield from _conditions(context, (*each.path, "when"))
        inner = each.path
    yield from _conditions(context, ("trigger", "when"))


def _conditions(context: LintContext, path: Path) -> Iterator[tuple[Path, str]]:
    if place := context.condition_at(path):
        yield path, place.value


def _says_no_kind(node: Node, holds: bool) -> bool | None:  # noqa: FBT001  the signature of a predicate
    """Whether a test is true for alerts of every kind: it names none, or excludes a few."""
    match node:
        case IsNone() | IsDefined():
            return True
        case Comparison("!=" | "not in") if holds:
            return True
        case Comparison("==" | "in") if not holds:
            return True
        case _:
            return all(
                path.removeprefix("alert.") in FIELDS_WITHOUT_KIND for path in references(node)
            )


def _everything(context: LintContext) -> Iterator[RuleHit]:
    place = context.condition_at(("trigger", "when"))
    if place is not None and _takes_all(parse(place.value), holds=True) and context.cases(()):
        message = "this matches alerts of every kind"
        yield RuleHit(
            place.path,
            message,
            "name the kind: `alert.class == '...'`, or rules, a product, a technique",
        )


def _takes_all(node: Node, *, holds: bool) -> bool:
    """Whether a condition matches all kinds: both sides of `and`, or one side of `or`."""
    match node:
        case Negation(of):
            return _takes_all(of, holds=not holds)
        case Logic(operator, left, right):
            both = (_takes_all(left, holds=holds), _takes_all(right, holds=holds))
            return all(both) if (operator == "and") is holds else any(both)
        case Constant(value):
            return bool(value) is holds
        case _:
            return bool(_says_no_kind(node, holds))


TEXT_DECIDES = LintRule(
    id="hostile-text-decides",
    summary="A containment that depends only on text that an attacker can choose.",
    why=(
        "The person who names the file, the process or the domain then chooses what is "
        "contained, or that nothing is."
    ),
    bad=example("""
        - id: block
          when: alert.title | contains('beacon')
          use: firewall.block_address
          with: {address: "${{ alert.remote.address }}"}
          for: 24h
        """),
    good=example("""
        - id: verdict
          use: reputation.lookup_address
          with: {address: "${{ alert.remote.address }}"}
        - id: block
          when: alert.title | contains('beacon') and steps.verdict.malicious >= 5
          use: firewall.block_address
          with: {address: "${{ alert.remote.address }}"}
          for: 24h
        """),
    check=_hostile,
)
_TELL = """
- id: tell
  use: chat.post
  with: {channel: soc, text: An alert}
"""
EVERYTHING = LintRule(
    id="trigger-fits-everything",
    summary="A trigger that does not name a kind of alert.",
    why=(
        "It starts for every detection rule that is added later, and responds to those as if "
        "they were the intended ones."
    ),
    bad=example(_TELL, trigger="when: alert.severity >= 4 and not alert.resolved"),
    good=example(
        _TELL,
        trigger="when: alert.class == 'c2_beacon' and alert.severity >= 4 and not alert.resolved",
    ),
    check=_everything,
)
