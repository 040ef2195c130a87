"""Explanations: a verdict with every rule, protection, limit and stop that was considered."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.policy.evaluate import (
    deciding_rule,
    evaluate,
    is_exceeded,
    kill_switch_reasons,
    protection_reasons,
)
from orchestrator.policy.inputs import ChangeContext, ChangeFacts, LimitUsage, PolicyInForce
from orchestrator.policy.match import RuleInput, check_conditions

_EXAMPLE: dict[str, Any] = {
    "verdict": {
        "outcome": "ask",
        "reasons": [
            "default:critical of the policy requires a person to approve edr.isolate_host (contain)"
        ],
        "policy_version": 2,
        "policy_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "by": None,
        "quorum": 1,
        "rule": "default:critical",
    },
    "names": ["dc-01"],
    "tags": ["critical"],
    "known": True,
    "protections": [],
    "switches": [],
    "rules": [
        {
            "name": "default:critical",
            "line": None,
            "verdict": "ask",
            "matches": True,
            "decides": True,
            "conditions": [
                {"name": "tags", "expected": "critical", "found": "critical", "holds": True}
            ],
        }
    ],
    "limits": [],
    "breaker": None,
}


class ConditionView(Frozen):
    """One condition of a rule."""

    name: str
    expected: str
    found: str
    holds: bool


class RuleView(Frozen):
    """One rule, with its conditions."""

    name: str
    line: int | None
    verdict: Verdict
    matches: bool = Field(description="Whether all its conditions hold.")
    decides: bool = Field(description="Whether it determines the verdict.")
    conditions: tuple[ConditionView, ...]


class LimitView(LimitUsage):
    """One limit that applies."""

    exceeded: bool = Field(description="Whether this change would exceed it.")


class Explanation(Frozen):
    """Everything that a verdict depends on."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    verdict: PolicyVerdict
    names: tuple[str, ...] = Field(description="Other names of the target.")
    tags: tuple[str, ...] = Field(description="Of the target.")
    known: bool = Field(description="Whether the inventory knows the target.")
    protections: tuple[str, ...] = Field(description="Why it is denied before any rule.")
    switches: tuple[str, ...] = Field(description="Kill switches that stop it.")
    rules: tuple[RuleView, ...]
    limits: tuple[LimitView, ...]
    breaker: str | None


def explain(
    change: Change, in_force: PolicyInForce, facts: ChangeFacts, context: ChangeContext
) -> Explanation:
    """Return the verdict on a change with everything that it depends on."""
    policy, moment = in_force.policy, RuleInput(change, facts, context)
    verdict = evaluate(change, in_force, facts, context)
    decided = deciding_rule(policy, moment) if verdict.rule is not None else None
    return Explanation(
        verdict=verdict,
        names=facts.names,
        tags=moment.tags,
        known=facts.known,
        protections=tuple(protection_reasons(change, policy, facts)),
        switches=tuple(kill_switch_reasons(change, facts, context)),
        rules=tuple(
            _rule_view(moment, in_force, number, decides=number == decided)
            for number in range(len(policy.all_rules))
        ),
        limits=tuple(
            LimitView(**used.model_dump(), exceeded=is_exceeded(used)) for used in facts.used
        ),
        breaker=facts.breaker,
    )


def render_text(explanation: Explanation) -> list[str]:
    """Return an explanation as lines for a person to read."""
    verdict = explanation.verdict
    head = {Verdict.ALLOW: "allowed", Verdict.ASK: "needs approval", Verdict.DENY: "denied"}[
        verdict.outcome
    ]
    group = f" of {verdict.by}" if verdict.by else ""
    asked = f" ({verdict.quorum}{group})" if verdict.outcome is Verdict.ASK else ""
    lines = [
        f"{head}{asked}, by policy version {verdict.policy_version}",
        *(f"  because {reason}" for reason in verdict.reasons),
        "",
    ]
    lines += [
        (
            f"target: {'in' if explanation.known else 'not in'} the inventory;"
            f" tags: {', '.join(explanation.tags) or 'none'}"
        )
    ]
    lines += [f"protection: {each}" for each in explanation.protections] or ["protection: none"]
    lines += [f"kill switch: {each}" for each in explanation.switches] or ["kill switch: none"]
    lines += [line for rule in explanation.rules for line in _rule_lines(rule)]
    lines += [_limit_line(limit) for limit in explanation.limits]
    return [*lines, f"breaker: {explanation.breaker or 'not tripped'}"]


def _rule_view(
    moment: RuleInput, in_force: PolicyInForce, number: int, *, decides: bool
) -> RuleView:
    rule = in_force.policy.all_rules[number]
    found = check_conditions(rule, moment)
    return RuleView(
        name=in_force.policy.name_of(number),
        line=rule.line,
        verdict=rule.verdict,
        matches=all(condition.holds for condition in found),
        decides=decides,
        conditions=tuple(ConditionView(**vars(condition)) for condition in found),
    )


def _rule_lines(rule: RuleView) -> list[str]:
    mark = "decides" if rule.decides else "matches" if rule.matches else "does not match"
    failed = [
        f"    {each.name}: expected {each.expected}; found {each.found}"
        for each in rule.conditions
        if not each.holds
    ]
    return [f"{rule.name}: {rule.verdict.value}: {mark}", *failed]


def _limit_line(limit: LimitView) -> str:
    count = (
        "counted already"
        if limit.others is None
        else f"{limit.others} + {limit.adds} of {limit.limit}"
    )
    span = f" within {limit.within}s" if limit.within else ""
    return (
        f"limit: {limit.kind} per {limit.per} {limit.name}".rstrip()
        + f"{span}: {count}{', exceeded' if limit.exceeded else ''}"
    )
