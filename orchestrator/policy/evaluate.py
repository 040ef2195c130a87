"""Policy evaluation: the verdict on one exact change. Pure, from facts that were loaded before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.policy.document import Policy
from orchestrator.policy.inputs import (
    ChangeContext,
    ChangeFacts,
    EngagedSwitch,
    LimitUsage,
    OwnInfrastructure,
    PolicyInForce,
)
from orchestrator.policy.match import NameScope, RuleInput, matches
from orchestrator.policy.stops.protected_assets import protections_of

__all__ = [
    "COUNTED",
    "GUARDED",
    "LIFTING",
    "RANK",
    "ChangeContext",
    "ChangeFacts",
    "EngagedSwitch",
    "LimitUsage",
    "OwnInfrastructure",
    "PolicyInForce",
    "evaluate",
]

GUARDED = frozenset({Effect.CONTAIN, Effect.DESTROY})
"""Effects that protection denies. Lifting a containment is never denied by it."""
LIFTING = frozenset({Effect.RELEASE, Effect.RESTORE})
"""Effects that end what a group may have approved: without `by`, a rule asks that group."""
COUNTED = frozenset({Effect.CONTAIN, Effect.DESTROY, Effect.RESTORE})
"""Effects that limits count. A ticket has no blast radius."""

RANK = {Verdict.ALLOW: 0, Verdict.ASK: 1, Verdict.DENY: 2}
"""Strictness of a verdict: higher is stricter."""


@dataclass(frozen=True, slots=True)
class ApprovalDemand:
    """The demand of a rule, a limit or the circuit breaker that people approve."""

    reason: str
    by: str | None
    quorum: int


def evaluate(
    change: Change, in_force: PolicyInForce, facts: ChangeFacts, context: ChangeContext
) -> PolicyVerdict:
    """Return the verdict. A denial precedes every demand for approval."""
    policy = in_force.policy
    if denials := [
        *kill_switch_reasons(change, facts, context),
        *protection_reasons(change, policy, facts),
    ]:
        return _verdict(in_force, Verdict.DENY, denials)
    number = deciding_rule(policy, RuleInput(change, facts, context))
    rule, name = policy.all_rules[number], policy.name_of(number)
    if rule.deny is not None:
        return _verdict(
            in_force, Verdict.DENY, [f"{name} of the policy denies it: {rule.deny}"], name
        )
    if not change.changed:
        return _verdict(
            in_force,
            Verdict.ALLOW,
            [f"{change.target} is already in the desired state; no approval needed"],
            name,
        )
    held = [str(holder) for holder in change.holders]
    demands = [
        *_rule_demand(change, policy, number, facts),
        *limit_demands(change, policy, facts),
        *_breaker_demand(change, policy, facts),
    ]
    if not demands:
        return _verdict(
            in_force,
            Verdict.ALLOW,
            [f"{change.effect.value} of {change.target}: {name} of the policy allows it", *held],
            name,
        )
    asked = _verdict(in_force, Verdict.ASK, [*(demand.reason for demand in demands), *held], name)
    group = next((demand.by for demand in demands if demand.by), None)
    return asked.model_copy(
        update={"by": group, "quorum": max(demand.quorum for demand in demands)}
    )


def deciding_rule(policy: Policy, moment: RuleInput) -> int:
    """Return the index of the rule in `all_rules` that decides: the first that matches.

    Other names of a target may be from alerts, so they only make the verdict stricter: an earlier
    rule that matches by one of them decides if it is stricter than the first that matches by the
    target's own name.
    """
    if moment.change.effect is Effect.READ:
        return len(policy.rules)  # default:reads
    candidates: list[int] = []
    for number, rule in enumerate(policy.all_rules):
        if matches(rule, moment, NameScope.OWN):
            candidates.append(number)
            break
        if rule.verdict is not Verdict.ALLOW and matches(rule, moment, NameScope.ALL):
            candidates.append(number)
    return max(candidates, key=lambda number: (*_strictness(policy, number), -number))


def kill_switch_reasons(
    change: Change, facts: ChangeFacts, context: ChangeContext
) -> Iterator[str]:
    """Yield a reason for each engaged kill switch that covers the change."""
    if change.effect in {Effect.READ, Effect.RELEASE}:  # `stop_releases` holds the lifting back
        return
    for switch in facts.switches:
        if _covers(switch, change, context):
            where = "everything" if switch.scope == "global" else f"{switch.scope} {switch.name}"
            yield f"the kill switch for {where} is engaged: {switch.reason}"


def protection_reasons(change: Change, policy: Policy, facts: ChangeFacts) -> Iterator[str]:
    """Yield a reason for each protection of the target."""
    if change.effect in GUARDED:
        yield from protections_of(change.target, facts.names, policy, facts.own)


def limit_demands(change: Change, policy: Policy, facts: ChangeFacts) -> Iterator[ApprovalDemand]:
    """Yield a demand for each limit that the change would exceed."""
    if change.effect in COUNTED and change.changed:
        yield from (
            ApprovalDemand(_limit_reason(used), policy.limits.by, policy.limits.quorum)
            for used in facts.used
            if is_exceeded(used)
        )


def is_exceeded(used: LimitUsage) -> bool:
    """Return whether the change would exceed a limit."""
    return used.others is not None and used.others + used.adds > used.limit


def _strictness(policy: Policy, number: int) -> tuple[int, int, bool]:
    rule = policy.all_rules[number]
    return (
        RANK[rule.verdict],
        rule.approve.quorum if rule.approve else 0,
        bool(rule.approve and rule.approve.by),
    )


def _verdict(
    in_force: PolicyInForce, verdict: Verdict, reasons: list[str], rule: str | None = None
) -> PolicyVerdict:
    return PolicyVerdict(
        outcome=verdict,
        reasons=tuple(dict.fromkeys(reasons)),
        policy_version=in_force.version,
        policy_digest=in_force.digest,
        rule=rule,
    )


def _covers(switch: EngagedSwitch, change: Change, context: ChangeContext) -> bool:
    match switch.scope:
        case "connection" | "connector":
            return switch.name in {change.connection, change.connector}
        case "playbook":
            return switch.name == context.playbook
        case "source":
            return switch.name == context.source
        case _:
            return True  # global; an unknown scope stops everything rather than nothing


def _rule_demand(
    change: Change, policy: Policy, number: int, facts: ChangeFacts
) -> Iterator[ApprovalDemand]:
    if ask := policy.all_rules[number].approve:
        people = "a person" if ask.quorum == 1 else f"{ask.quorum} people"
        approvers = facts.approved_by if change.effect in LIFTING else ()
        by = ask.by or next(iter(approvers), None)
        group = f" of {by}" if by else ""
        what = f"{change.connection}.{change.action} ({change.effect.value})"
        yield ApprovalDemand(
            f"{policy.name_of(number)} of the policy requires {people}{group} to approve {what}",
            by,
            ask.quorum,
        )


def _breaker_demand(change: Change, policy: Policy, facts: ChangeFacts) -> Iterator[ApprovalDemand]:
    if facts.breaker is not None and change.effect in COUNTED:
        yield ApprovalDemand(facts.breaker, policy.breaker.by, policy.breaker.quorum)


def _limit_reason(used: LimitUsage) -> str:
    span = "per run" if used.within is None else f"within {_length(used.within)}"
    match used.per, used.name:
        case "run", name if name:
            who = f"{name} allows {used.limit} {span}"
        case "run" | "overall", _:
            who = f"the policy allows {used.limit} {span}"
        case per, name:
            who = f"the policy allows {used.limit} {span} for the {per} {name}"
    more = "" if used.adds == 1 else f", this change adds {used.adds}"
    return f"{used.others} {used.kind} already touched{more}; {who}"


def _length(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
