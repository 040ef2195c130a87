"""Lint rules about the flow of a playbook: unreachable steps, unused results, possible nulls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.domain.change import Effect
from orchestrator.playbook import plan
from orchestrator.playbook.compile.expression_checks import CheckedExpression
from orchestrator.playbook.compile.schema_fit import schema_mismatches
from orchestrator.playbook.language.ast import Node
from orchestrator.playbook.language.references import references
from orchestrator.playbook.language.syntax import parse
from orchestrator.playbook.language.templates import is_template, template_parts
from orchestrator.playbook.language.types import ANY, NULL, Type
from orchestrator.playbook.language.yaml import Path
from orchestrator.playbook.lint.context import LintContext, StepSite
from orchestrator.playbook.lint.null_safety import NullRisk, describe, null_risks
from orchestrator.playbook.lint.rule import LintRule, RuleHit, example

_NEVER = "remove it, or correct the condition"


def _unreachable(context: LintContext) -> Iterator[RuleHit]:
    for place in context.expressions:
        if place.condition and place.path != ("trigger", "when") and context.cases(place.path):
            yield from _unmet(context, place)
    if context.condition_at(("trigger", "when")) and not context.cases(()):
        yield RuleHit(("trigger", "when"), "no alert can match this", "correct the condition")
    for site in context.sites:
        yield from _dead_branches(context, site)
        if (
            isinstance(site.step, plan.ForEach)
            and isinstance(site.step.items, (list, tuple))
            and not site.step.items
        ):
            yield RuleHit(
                (*site.path, "for_each"),
                "the list is empty, so these steps never run",
                "remove the step, or add items",
            )


_CONDITIONS = {
    "when": "this is never true, so the step never runs",
    "branch": "this is never true, so its steps never run",
    "approve": "this is never true, so no one is ever asked",
    "event": "no alert can match this, so the step waits in vain",
}


def _unmet(context: LintContext, place: CheckedExpression) -> Iterator[RuleHit]:
    """Yield a condition that is evaluated and never true; for `until` that can be intended."""
    kind = "branch" if len(place.path) > 2 and place.path[-3] == "choose" else place.path[-1]
    kind = "approve" if place.path[-2] == "approve" else kind
    if kind in _CONDITIONS and not context.solver(place).assume(
        parse(place.value), context.cases(place.path), holds=True
    ):
        yield RuleHit(place.path, _CONDITIONS[str(kind)], _NEVER)


def _dead_branches(context: LintContext, site: StepSite) -> Iterator[RuleHit]:
    if not isinstance(site.step, plan.Choose) or not context.cases(site.path):
        return
    for index in range(1, len(site.step.branches) + bool(site.step.otherwise)):
        path = (*site.path, "choose", index)
        last = index == len(site.step.branches)
        if not context.cases(path if last else (*path, "when")):
            yield RuleHit(
                path, "a branch before this one is always taken, so its steps never run", _NEVER
            )
            return


def _unused(context: LintContext) -> Iterator[RuleHit]:
    """Yield unused reads; a playbook without trigger returns its results to the caller."""
    if context.plan.trigger is None:
        return
    used = {
        path for place in context.expressions for node in _nodes(place) for path in references(node)
    }
    for site in context.sites:
        if (
            isinstance(site.step, plan.Use)
            and site.step.effect is Effect.READ
            and not _is_used(site, used)
        ):
            message = f"no step uses the result of {site.step.connection}.{site.step.action}"
            yield RuleHit(
                (*site.path, "use"),
                message,
                "remove the step, or use its result, such as in a `when` or a ticket",
                key=True,
            )


def _is_used(site: StepSite, used: set[str]) -> bool:
    """Whether a path uses the result of a step, directly or through a block around it."""
    blocks = [
        each.step.id for each in site.around if isinstance(each.step, (plan.Parallel, plan.ForEach))
    ]
    return any(_includes(path.split("."), site.step.id, blocks) for path in used)


def _includes(path: list[str], name: str, blocks: list[str]) -> bool:
    """Whether a path includes the result of a step that lies in these blocks."""
    match path:
        case ["steps"]:
            return True
        case ["steps", first, *rest] if first in blocks:
            return not rest or rest[0] == "items" or name in rest or rest[-1] in blocks
        case ["steps", first, *_]:
            return first == name
        case _:
            return False


def _undefined(context: LintContext) -> Iterator[RuleHit]:
    whole = [place for place in context.expressions if place.schema is not None]
    reported: set[tuple[Path, str]] = set()
    for place in context.expressions:
        if place.schema is None:
            found = _in_expression(
                context,
                place,
                within_value=any(place.path[: len(each.path)] == each.path for each in whole),
            )
        else:
            found = _in_value(context, place)
        for each in found:
            if (each.path, each.message) not in reported:
                reported.add((each.path, each.message))
                yield each


def _in_expression(
    context: LintContext, place: CheckedExpression, *, within_value: bool
) -> Iterator[RuleHit]:
    nodes, cases, solver = _nodes(place), context.cases(place.path), context.solver(place)
    alone = len(nodes) == 1 and (place.condition or len(template_parts(place.value)) == 1)
    for node in nodes:
        yield from (_risk_hit(place.path, risk) for risk in null_risks(node, cases, solver))
        if not (alone and within_value) and any(solver.null_in(node, case) for case in cases):
            yield RuleHit(
                place.path, f"{describe(node)} can be null, and a value is required here", _GUARD
            )


_GUARD = "guard it with `... is not none`, or add `| default(...)`"


def _in_value(context: LintContext, place: CheckedExpression) -> Iterator[RuleHit]:
    """Yield whole values that can be null where null does not fit."""

    def infer(template: str, path: Path) -> Type:
        pieces = template_parts(template)
        inner = CheckedExpression(path, template, place.names)
        node = pieces[0]
        if len(pieces) > 1 or isinstance(node, str):
            return ANY
        return (
            NULL
            if any(context.solver(inner).null_in(node, case) for case in context.cases(path))
            else ANY
        )

    for mismatch in schema_mismatches(place.value, place.schema or {}, place.path, infer):
        yield RuleHit(
            mismatch.path,
            f"input {mismatch.path[-1]!r} can be null, and a value is required",
            _GUARD,
        )


def _risk_hit(path: Path, risk: NullRisk) -> RuleHit:
    if risk.short:
        fix = "use `| first | default(...)`, or check its `| length`"
        return RuleHit(path, f"{risk.what} can be shorter, and then the expression fails", fix)
    fails = "the lookup fails" if risk.lookup else "the expression fails"
    return RuleHit(path, f"{risk.what} can be null, and then {fails}", _GUARD)


def _nodes(place: CheckedExpression) -> list[Node]:
    return (
        list(_within(place.value, condition=place.condition))
        if place.condition or place.schema is None
        else []
    )


def _within(value: Any, *, condition: bool) -> Iterator[Node]:
    if condition:
        yield parse(value)
    elif isinstance(value, str) and is_template(value):
        yield from (piece for piece in template_parts(value) if not isinstance(piece, str))


UNREACHABLE = LintRule(
    id="unreachable-step",
    summary="A step, a branch or an approval that is never reached.",
    why=(
        "A step that never runs protects no one. Most often a condition does not say what its "
        "author meant."
    ),
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
UNUSED = LintRule(
    id="unused-result",
    summary="A read whose result is not used.",
    why=(
        "It costs time and the vendor's quota, and often the `when` that should use it was "
        "forgotten."
    ),
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
UNDEFINED = LintRule(
    id="can-be-undefined",
    summary="An expression that fails when a part of the alert or of a result is missing.",
    why=(
        "Products leave out fields, reads fail, steps are skipped. The run then fails at "
        "three in the morning, not in the playbook test."
    ),
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
