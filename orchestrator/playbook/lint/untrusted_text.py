"""Rules about text that an attacker writes, and about what a trigger lets in: which test decides alone?

A condition is asked what suffices to make it come out so. Of `a and b` both are needed, of `a or b` one is enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.language.ast import (
    Compare,
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
from orchestrator.playbook.lint.context import Draft, Site
from orchestrator.playbook.lint.example import example
from orchestrator.playbook.lint.finding import Found, Rule

HOSTILE = (
    "title",
    "url",
    "file.name",
    "file.path",
    "process.name",
    "process.command_line",
    "remote.domain",
)
"""Fields of an alert whose text whoever attacks can choose. `rule` is not among them: the product that detects names it."""

NOT_A_KIND = (
    "severity",
    "severity_name",
    "resolved",
    "time",
    "id",
    "incident_id",
    "dedup_key",
    "raw_sha256",
)
"""Fields of an alert that do not say what it is about."""

_OF_AN_ALERT = re.compile(r"(?:alert|event|steps\.[a-z0-9_]+\.event)\.(.+)")

Judge = Callable[
    [Node, bool], bool | None
]  # a test and how it comes out -> whether it suffices; None: it says nothing


def _suffices(node: Node, judge: Judge, *, holds: bool = True) -> bool | None:
    """Whether tests that the judge is after suffice to make the condition come out so."""
    match node:
        case Negation(of):
            return _suffices(of, judge, holds=not holds)
        case Logic(operator, left, right):
            both = [_suffices(left, judge, holds=holds), _suffices(right, judge, holds=holds)]
            return _weighed(both, all_needed=(operator == "and") is holds)
        case Constant():
            return None
        case _:
            return judge(node, holds)


def _weighed(verdicts: list[bool | None], *, all_needed: bool) -> bool | None:
    known = [verdict for verdict in verdicts if verdict is not None]
    return (all(known) if all_needed else any(known)) if known else None


def _is_hostile(node: Node, _: bool) -> bool | None:  # noqa: FBT001  a judge's signature
    if isinstance(node, (IsNone, IsDefined)) or (
        isinstance(node, Compare) and Constant(None) in (node.left, node.right)
    ):
        return None
    seen = references(node)
    return bool(seen) and all(_field(path) in HOSTILE for path in seen) if seen else None


def _field(path: str) -> str:
    found = _OF_AN_ALERT.fullmatch(path)
    return found[1] if found else ""


def _hostile(draft: Draft) -> Iterator[Found]:
    told: set[Path] = set()
    for site in draft.sites:
        contains = isinstance(site.step, plan.Use) and site.step.effect in {
            Effect.CONTAIN,
            Effect.DESTROY,
        }
        for found in _decided_by_text(draft, site) if contains and draft.cases(site.path) else ():
            if found.path not in told:
                told.add(found.path)
                yield found


def _decided_by_text(draft: Draft, site: Site) -> Iterator[Found]:
    name = f"{site.step.connection}.{site.step.action}" if isinstance(site.step, plan.Use) else ""
    mend = "let something decide that they cannot write: a verdict, the inventory, a person (`approve:`)"
    for each in site.line:
        path: Path = (*each.path, "approve", "when")
        if (place := draft.condition_at(path)) and _suffices(
            parse(place.value), _is_hostile, holds=False
        ):
            yield Found(
                path,
                f"text that an attacker can choose decides alone whether a person is asked before {name}",
                mend,
            )
    if any(each.step.approve and each.step.approve.when is None for each in site.line):
        return
    verdicts = {path: _suffices(parse(source), _is_hostile) for path, source in _ways(draft, site)}
    own = [verdict for path, verdict in verdicts.items() if path != ("trigger", "when")]
    deciding = own if any(verdict is not None for verdict in own) else list(verdicts.values())
    if _weighed(deciding, all_needed=True):
        path = next(path for path, verdict in verdicts.items() if verdict)
        yield Found(
            path, f"text that an attacker can choose decides alone whether {name} comes", mend
        )


def _ways(draft: Draft, site: Site) -> Iterator[tuple[Path, str]]:
    """The conditions on the way to a step, the innermost first, the trigger's last."""
    inner: Path = ()
    for each in reversed(site.line):
        if inner[: len(each.path) + 1] == (*each.path, "choose"):
            yield from _conditions(draft, (*inner[: len(each.path) + 2], "when"))
        yield from _conditions(draft, (*each.path, "when"))
        inner = each.path
    yield from _conditions(draft, ("trigger", "when"))


def _conditions(draft: Draft, path: Path) -> Iterator[tuple[Path, str]]:
    if place := draft.condition_at(path):
        yield path, place.value


def _says_no_kind(node: Node, holds: bool) -> bool | None:  # noqa: FBT001  a judge's signature
    """Whether a test holds for alerts of every kind: it asks for none, or rules a few out."""
    match node:
        case IsNone() | IsDefined():
            return True
        case Compare("!=" | "not in") if holds:
            return True
        case Compare("==" | "in") if not holds:
            return True
        case _:
            return all(path.removeprefix("alert.") in NOT_A_KIND for path in references(node))


def _everything(draft: Draft) -> Iterator[Found]:
    place = draft.condition_at(("trigger", "when"))
    if place is not None and _takes_all(parse(place.value), holds=True) and draft.cases(()):
        message = "this fits alerts of every kind"
        yield Found(
            place.path,
            message,
            "say which ones: `alert.class == '...'`, or the rules, the product, the technique",
        )


def _takes_all(node: Node, *, holds: bool) -> bool:
    """Of `a and b` both have to take all, of `a or b` one."""
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


TEXT_DECIDES = Rule(
    id="hostile-text-decides",
    sentence="A containment that hangs on text which an attacker can choose, and on nothing else.",
    why="Whoever names the file, the process or the domain then chooses what is cut off, or that nothing is.",
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
EVERYTHING = Rule(
    id="trigger-fits-everything",
    sentence="A trigger that does not say which kind of alert it is for.",
    why="It starts for every rule that anybody adds later, and does to those what was meant for others.",
    bad=example(_TELL, trigger="when: alert.severity >= 4 and not alert.resolved"),
    good=example(
        _TELL,
        trigger="when: alert.class == 'c2_beacon' and alert.severity >= 4 and not alert.resolved",
    ),
    check=_everything,
)
