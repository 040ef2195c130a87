"""Rules about the course of a playbook: what is never reached, what nobody uses, what may not be there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.compile.expression_checks import Place
from orchestrator.playbook.compile.schema_fit import misfits
from orchestrator.playbook.language.ast import Node
from orchestrator.playbook.language.evaluate import is_template, parts
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.types import ANY, NULL, Type
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import Draft, Site
from orchestrator.playbook.lint.example import example
from orchestrator.playbook.lint.finding import Found, Rule
from orchestrator.playbook.lint.null_safety import Hole, holes, spoken

_NEVER = "remove it, or mend the condition"


def _unreachable(draft: Draft) -> Iterator[Found]:
    for place in draft.places:
        if place.condition and place.path != ("trigger", "when") and draft.cases(place.path):
            yield from _unmet(draft, place)
    if draft.condition_at(("trigger", "when")) and not draft.cases(()):
        yield Found(("trigger", "when"), "no alert can ever fit this", "mend the condition")
    for site in draft.sites:
        yield from _dead_branches(draft, site)
        if (
            isinstance(site.step, plan.ForEach)
            and isinstance(site.step.items, (list, tuple))
            and not site.step.items
        ):
            yield Found(
                (*site.path, "for_each"),
                "there is no item, so these steps never run",
                "remove them, or name the items",
            )


_CONDITIONS = {
    "when": "this never holds, so the step never runs",
    "branch": "this never holds, so its steps never run",
    "approve": "this never holds, so nobody is ever asked",
    "event": "no alert can ever be this event, so what comes after it waits in vain",
}


def _unmet(draft: Draft, place: Place) -> Iterator[Found]:
    """A condition that never holds though it is asked; `until` may be meant never to."""
    kind = "branch" if len(place.path) > 2 and place.path[-3] == "choose" else place.path[-1]
    kind = "approve" if place.path[-2] == "approve" else kind
    if kind in _CONDITIONS and not draft.reasoner(place).assume(
        parse(place.value), draft.cases(place.path), holds=True
    ):
        yield Found(place.path, _CONDITIONS[str(kind)], _NEVER)


def _dead_branches(draft: Draft, site: Site) -> Iterator[Found]:
    if not isinstance(site.step, plan.Choose) or not draft.cases(site.path):
        return
    for index in range(1, len(site.step.branches) + bool(site.step.otherwise)):
        path = (*site.path, "choose", index)
        last = index == len(site.step.branches)
        if not draft.cases(path if last else (*path, "when")):
            yield Found(
                path, "a branch before this one is always taken, so its steps never run", _NEVER
            )
            return


def _unused(draft: Draft) -> Iterator[Found]:
    """What is started by hand or by `call` shows its results to whoever started it."""
    if draft.plan.trigger is None:
        return
    used = {path for place in draft.places for node in _nodes(place) for path in references(node)}
    for site in draft.sites:
        if (
            isinstance(site.step, plan.Use)
            and site.step.effect is Effect.READ
            and not _is_used(site, used)
        ):
            message = f"nobody uses what {site.step.connection}.{site.step.action} answers"
            yield Found(
                (*site.path, "use"),
                message,
                "remove the step, or use its result: in a `when`, in the ticket",
                key=True,
            )


def _is_used(site: Site, used: set[str]) -> bool:
    """A result is also seen in that of a block around it."""
    blocks = [
        each.step.id for each in site.around if isinstance(each.step, (plan.Parallel, plan.ForEach))
    ]
    return any(_shows(path.split("."), site.step.id, blocks) for path in used)


def _shows(path: list[str], name: str, blocks: list[str]) -> bool:
    """Whether what is looked up holds the result of a step that lies in these blocks."""
    match path:
        case ["steps"]:
            return True
        case ["steps", first, *rest] if first in blocks:
            return not rest or rest[0] == "items" or name in rest or rest[-1] in blocks
        case ["steps", first, *_]:
            return first == name
        case _:
            return False


def _undefined(draft: Draft) -> Iterator[Found]:
    whole = [place for place in draft.places if place.schema is not None]
    told: set[tuple[Path, str]] = set()
    for place in draft.places:
        if place.schema is None:
            found = _in_expression(
                draft,
                place,
                within_value=any(place.path[: len(each.path)] == each.path for each in whole),
            )
        else:
            found = _in_value(draft, place)
        for each in found:
            if (each.path, each.message) not in told:
                told.add((each.path, each.message))
                yield each


def _in_expression(draft: Draft, place: Place, *, within_value: bool) -> Iterator[Found]:
    nodes, cases, reasoner = _nodes(place), draft.cases(place.path), draft.reasoner(place)
    alone = len(nodes) == 1 and (place.condition or len(parts(place.value)) == 1)
    for node in nodes:
        yield from (_hole(place.path, hole) for hole in holes(node, cases, reasoner))
        if not (alone and within_value) and any(reasoner.null_in(node, case) for case in cases):
            yield Found(
                place.path, f"{spoken(node)} can be null, and a value is wanted here", _GUARD
            )


_GUARD = "guard it with `... is not none`, or say what it is then: `| default(...)`"


def _in_value(draft: Draft, place: Place) -> Iterator[Found]:
    """Whole values that can be null where null does not fit."""

    def infer(template: str, path: Path) -> Type:
        pieces = parts(template)
        inner = Place(path, template, place.known)
        node = pieces[0]
        if len(pieces) > 1 or isinstance(node, str):
            return ANY
        return (
            NULL
            if any(draft.reasoner(inner).null_in(node, case) for case in draft.cases(path))
            else ANY
        )

    for misfit in misfits(place.value, place.schema or {}, place.path, infer):
        yield Found(
            misfit.path,
            f"input {misfit.path[-1]!r} can be null here, and a value is wanted",
            _GUARD,
        )


def _hole(path: Path, hole: Hole) -> Found:
    if hole.short:
        mend = "use `| first | default(...)`, or test its `| length`"
        return Found(path, f"{hole.what} can be shorter, and the expression fails then", mend)
    fails = "looking into it fails" if hole.lookup else "the expression fails"
    return Found(path, f"{hole.what} can be null, and {fails} then", _GUARD)


def _nodes(place: Place) -> list[Node]:
    return (
        list(_within(place.value, condition=place.condition))
        if place.condition or place.schema is None
        else []
    )


def _within(value: Any, *, condition: bool) -> Iterator[Node]:
    if condition:
        yield parse(value)
    elif isinstance(value, str) and is_template(value):
        yield from (piece for piece in parts(value) if not isinstance(piece, str))


UNREACHABLE = Rule(
    id="unreachable-step",
    sentence="A step, a branch or a question that can never come.",
    why="What never runs protects nobody; most often a condition says something else than its author meant.",
    bad=example("""
        - id: warn
          when: alert.class == 'malware'
          use: chat.post
          with: {channel: soc, text: Malware}
        """),
    good=example("""
        - id: warn
          when: alert.severity >= 5
          use: chat.post
          with: {channel: soc, text: A critical beacon}
        """),
    check=_unreachable,
)
UNUSED = Rule(
    id="unused-result",
    sentence="A read whose result nobody uses.",
    why="It costs time and a vendor's quota, and often the `when` that should have used it was forgotten.",
    bad=example("""
        - id: verdict
          use: reputation.lookup_address
          with: {address: "${{ alert.remote.address }}"}
        - id: tell
          use: chat.post
          with: {channel: soc, text: A beacon}
        """),
    good=example("""
        - id: verdict
          use: reputation.lookup_address
          with: {address: "${{ alert.remote.address }}"}
        - id: tell
          when: steps.verdict.malicious >= 5
          use: chat.post
          with: {channel: soc, text: A beacon}
        """),
    check=_unused,
)
UNDEFINED = Rule(
    id="can-be-undefined",
    sentence="An expression that fails when a part of the alert or of a result is not there.",
    why="Products leave fields out, reads fail, steps are skipped: the run then fails at three in the morning, not in the rehearsal.",
    bad=example("""
        - id: tell
          use: chat.post
          with: {channel: soc, text: "Beacon of ${{ alert.host.name }}"}
        """),
    good=example("""
        - id: tell
          use: chat.post
          with: {channel: soc, text: "Beacon of ${{ alert.host.name | default(alert.host.id) }}"}
        """),
    check=_undefined,
)
