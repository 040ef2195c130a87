"""Why is a change allowed, asked about or denied? The verdict, and what each rule, protection and limit had to say."""

from __future__ import annotations

from orchestrator.domain.change import Change, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.policy.evaluate import deciding, evaluate, is_over, protections, stopped
from orchestrator.policy.inputs import Context, Facts, InForce, Used
from orchestrator.policy.match import Moment, conditions


class TriedCondition(Frozen):
    """One condition of a rule: what it wants, what was found."""

    name: str
    wanted: str
    found: str
    holds: bool


class TriedRule(Frozen):
    """One rule. `fits`: all its conditions hold; `decides`: it is the one that counts."""

    name: str
    line: int | None
    verdict: Verdict
    fits: bool
    decides: bool
    conditions: tuple[TriedCondition, ...]


class TriedLimit(Used):
    """One limit that applies. `over`: this change would go beyond it."""

    over: bool


class Explanation(Frozen):
    """All that a verdict depends on. `tags`, `names`: of the target; `protections`, `switches`: why it is refused before any rule."""

    verdict: PolicyVerdict
    names: tuple[str, ...]
    tags: tuple[str, ...]
    known: bool
    protections: tuple[str, ...]
    switches: tuple[str, ...]
    rules: tuple[TriedRule, ...]
    limits: tuple[TriedLimit, ...]
    breaker: str | None


def explain(change: Change, in_force: InForce, facts: Facts, context: Context) -> Explanation:
    """The verdict, and how it came about."""
    policy, moment = in_force.policy, Moment(change, facts, context)
    verdict = evaluate(change, in_force, facts, context)
    decided = deciding(policy, moment) if verdict.rule is not None else None
    return Explanation(
        verdict=verdict,
        names=facts.names,
        tags=moment.tags,
        known=facts.known,
        protections=tuple(protections(change, policy, facts)),
        switches=tuple(stopped(change, facts, context)),
        rules=tuple(
            _tried(moment, in_force, number, decides=number == decided)
            for number in range(len(policy.all_rules))
        ),
        limits=tuple(TriedLimit(**used.model_dump(), over=is_over(used)) for used in facts.used),
        breaker=facts.breaker,
    )


def told(explanation: Explanation) -> list[str]:
    """For a person to read, line by line."""
    verdict = explanation.verdict
    head = {Verdict.ALLOW: "allowed", Verdict.ASK: "people are asked", Verdict.DENY: "denied"}[
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
        f"target: {'known to' if explanation.known else 'not in'} the inventory; tags: {', '.join(explanation.tags) or 'none'}"
    ]
    lines += [f"protection: {each}" for each in explanation.protections] or ["protection: none"]
    lines += [f"kill switch: {each}" for each in explanation.switches] or ["kill switch: none"]
    lines += [line for rule in explanation.rules for line in _rule_lines(rule)]
    lines += [_limit_line(limit) for limit in explanation.limits]
    return [*lines, f"breaker: {explanation.breaker or 'not tripped'}"]


def _tried(moment: Moment, in_force: InForce, number: int, *, decides: bool) -> TriedRule:
    rule = in_force.policy.all_rules[number]
    found = conditions(rule, moment)
    return TriedRule(
        name=in_force.policy.name_of(number),
        line=rule.line,
        verdict=rule.verdict,
        fits=all(condition.holds for condition in found),
        decides=decides,
        conditions=tuple(TriedCondition(**vars(condition)) for condition in found),
    )


def _rule_lines(rule: TriedRule) -> list[str]:
    mark = "decides" if rule.decides else "fits" if rule.fits else "does not fit"
    failed = [
        f"    {each.name}: wants {each.wanted}; it is {each.found}"
        for each in rule.conditions
        if not each.holds
    ]
    return [f"{rule.name}: {rule.verdict.value}: {mark}", *failed]


def _limit_line(limit: TriedLimit) -> str:
    count = (
        "counted already"
        if limit.others is None
        else f"{limit.others} + {limit.adds} of {limit.limit}"
    )
    span = f" within {limit.within}s" if limit.within else ""
    return (
        f"limit: {limit.kind} per {limit.per} {limit.name}".rstrip()
        + f"{span}: {count}{', reached' if limit.over else ''}"
    )
