"""May this exact change be made now? Allowed, needs people, or denied; pure, from facts that were gathered before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.policy.document import Policy
from orchestrator.policy.inputs import Context, Facts, InForce, Own, Switch, Used
from orchestrator.policy.match import Moment, Names, fits
from orchestrator.policy.stops.protected_assets import objections

__all__ = [
    "COUNTED",
    "GUARDED",
    "RANK",
    "Context",
    "Facts",
    "InForce",
    "Own",
    "Switch",
    "Used",
    "evaluate",
]

GUARDED = frozenset({Effect.CONTAIN, Effect.DESTROY})
"""What protected assets are protected from; taking a containment back is never refused for their sake."""
COUNTED = frozenset({Effect.CONTAIN, Effect.DESTROY, Effect.RESTORE})
"""What limits count. A ticket has no blast radius."""

RANK = {Verdict.ALLOW: 0, Verdict.ASK: 1, Verdict.DENY: 2}
"""The higher, the stricter."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who wants people to be asked: a rule, a limit, the breaker."""

    why: str
    by: str | None
    quorum: int


def evaluate(change: Change, in_force: InForce, facts: Facts, context: Context) -> PolicyVerdict:
    """The verdict. Denials come before questions: nobody is asked about what may not be."""
    policy = in_force.policy
    if refused := [*stopped(change, facts, context), *protections(change, policy, facts)]:
        return _verdict(in_force, Verdict.DENY, refused)
    number = deciding(policy, Moment(change, facts, context))
    rule, name = policy.all_rules[number], policy.name_of(number)
    if rule.deny is not None:
        return _verdict(
            in_force, Verdict.DENY, [f"{name} of the policy denies it: {rule.deny}"], name
        )
    if not change.changed:
        return _verdict(
            in_force,
            Verdict.ALLOW,
            [f"{change.target} is as wished already, so there is nothing to ask about"],
            name,
        )
    wishes = [
        *_of_rule(change, policy, number),
        *over(change, policy, facts),
        *_of_breaker(change, policy, facts),
    ]
    if not wishes:
        return _verdict(
            in_force,
            Verdict.ALLOW,
            [f"{change.effect.value} of {change.target}: {name} of the policy allows it"],
            name,
        )
    asked = _verdict(in_force, Verdict.ASK, [wish.why for wish in wishes], name)
    group = next((wish.by for wish in wishes if wish.by), None)
    return asked.model_copy(update={"by": group, "quorum": max(wish.quorum for wish in wishes)})


def deciding(policy: Policy, moment: Moment) -> int:
    """Which of `all_rules` decides: the first that fits.

    Other names of a target come from alerts too, so they can only make it stricter: an earlier rule that fits by one of them
    decides when it says more than the first that fits by the target's own name.
    """
    if moment.change.effect is Effect.READ:
        return len(policy.rules)  # default:reads
    candidates: list[int] = []
    for number, rule in enumerate(policy.all_rules):
        if fits(rule, moment, Names.OWN):
            candidates.append(number)
            break
        if rule.verdict is not Verdict.ALLOW and fits(rule, moment, Names.ALL):
            candidates.append(number)
    return max(candidates, key=lambda number: (*_strictness(policy, number), -number))


def stopped(change: Change, facts: Facts, context: Context) -> Iterator[str]:
    """The kill switches that stop it."""
    if change.effect is Effect.READ:
        return
    for switch in facts.switches:
        if _covers(switch, change, context):
            where = "everything" if switch.scope == "global" else f"{switch.scope} {switch.name}"
            yield f"the kill switch for {where} is engaged: {switch.reason}"


def protections(change: Change, policy: Policy, facts: Facts) -> Iterator[str]:
    """What protects its target."""
    if change.effect in GUARDED:
        yield from objections(change.target, facts.names, policy, facts.own)


def over(change: Change, policy: Policy, facts: Facts) -> Iterator[Wish]:
    """The limits that it would go beyond: nothing is dropped for them, people are asked."""
    if change.effect in COUNTED and change.changed:
        yield from (
            Wish(_reached(used), policy.limits.by, policy.limits.quorum)
            for used in facts.used
            if is_over(used)
        )


def is_over(used: Used) -> bool:
    """Whether a limit does not leave room for one more target."""
    return used.others is not None and used.others + used.adds > used.limit


def _strictness(policy: Policy, number: int) -> tuple[int, int, bool]:
    rule = policy.all_rules[number]
    return (
        RANK[rule.verdict],
        rule.approve.quorum if rule.approve else 0,
        bool(rule.approve and rule.approve.by),
    )


def _verdict(
    in_force: InForce, verdict: Verdict, reasons: list[str], rule: str | None = None
) -> PolicyVerdict:
    return PolicyVerdict(
        outcome=verdict,
        reasons=tuple(dict.fromkeys(reasons)),
        policy_version=in_force.version,
        policy_digest=in_force.digest,
        rule=rule,
    )


def _covers(switch: Switch, change: Change, context: Context) -> bool:
    match switch.scope:
        case "connection" | "connector":
            return switch.name in {change.connection, change.connector}
        case "playbook":
            return switch.name == context.playbook
        case "source":
            return switch.name == context.source
        case _:
            return True  # global; an unknown scope stops everything rather than nothing


def _of_rule(change: Change, policy: Policy, number: int) -> Iterator[Wish]:
    if ask := policy.all_rules[number].approve:
        people = "a person" if ask.quorum == 1 else f"{ask.quorum} people"
        group = f" of {ask.by}" if ask.by else ""
        what = f"{change.connection}.{change.action} ({change.effect.value})"
        yield Wish(
            f"{policy.name_of(number)} of the policy wants {people}{group} to agree with {what}",
            ask.by,
            ask.quorum,
        )


def _of_breaker(change: Change, policy: Policy, facts: Facts) -> Iterator[Wish]:
    if facts.breaker is not None and change.effect in COUNTED:
        yield Wish(facts.breaker, policy.breaker.by, policy.breaker.quorum)


def _reached(used: Used) -> str:
    span = "in a run" if used.within is None else f"within {_length(used.within)}"
    match used.per, used.name:
        case "run", name if name:
            who = f"{name} allows itself {used.limit} {span}"
        case "run" | "overall", _:
            who = f"the policy allows {used.limit} {span}"
        case per, name:
            who = f"the policy allows {used.limit} {span} for the {per} {name}"
    more = "" if used.adds == 1 else f", this adds {used.adds}"
    return f"{used.others} {used.kind} are touched already{more}, and {who}: people are asked"


def _length(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
