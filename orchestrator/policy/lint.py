"""Policy lint: rules that never match, rules that contradict each other, and unknown tags."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from orchestrator.assets.facts import WELL_KNOWN_TAGS
from orchestrator.domain.observable import ObservableType
from orchestrator.playbook.problems import did_you_mean
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import RANK
from orchestrator.policy.rules import Hours, Rule, SeverityIs, TargetIs
from orchestrator.policy.targets import overlaps

_LISTS = {
    "addresses": ObservableType.ADDRESS,
    "networks": ObservableType.NETWORK,
    "domains": ObservableType.DOMAIN,
    "hosts": ObservableType.HOST,
    "users": ObservableType.USER,
}


def lint_policy(
    policy: Policy, known_tags: Iterable[str] = (), file: str = "policy.yaml"
) -> tuple[str, ...]:
    """Return a warning per likely mistake, with file and line. `known_tags`: of the inventory."""
    tags = {*WELL_KNOWN_TAGS, *known_tags}
    found = [
        line
        for number, rule in enumerate(policy.rules)
        for line in (*_pairs(policy, number), *_unknown(rule, tags))
    ]
    places = [f"{file}:{line}" for line in found]
    if policy.approvals.new_approvers_wait == 0:
        places.append(
            f"{file}: approvals.new_approvers_wait is 0: who makes a key can approve with it at "
            "once; in production, wait for a day (`1d`)"
        )
    return tuple(places)


def _unknown(rule: Rule, known: set[str]) -> Iterator[str]:
    for tag in rule.tags or ():
        if tag not in known:
            fix = did_you_mean(tag, known)
            yield f"{rule.line}: unknown tag {tag!r}" + (f"; {fix}" if fix else "")


def _pairs(policy: Policy, number: int) -> Iterator[str]:
    """Compare a rule with those before it. A covered rule needs no warning about overlaps."""
    rule, before = policy.rules[number], list(enumerate(policy.rules[:number]))
    covering = next((other for other, earlier in before if _covers(earlier, rule)), None)
    if covering is not None:
        before_it = f"{_called(policy, covering)} precedes it and matches everything it matches"
        called = _called(policy, number)
        yield f"{rule.line}: {called} never decides: {before_it}; move or remove it"
        return
    for other, earlier in before:
        if _contradicts(earlier, rule) and _overlap(earlier, rule) and not _covers(rule, earlier):
            one, another = (
                f"{_called(policy, each)}, {policy.rules[each].verdict.value},"
                for each in (number, other)
            )
            yield (
                f"{rule.line}: {one} and {another} overlap:"
                f" where both match, line {earlier.line} decides"
            )


def _called(policy: Policy, number: int) -> str:
    rule = policy.rules[number]
    return f"{rule.name!r} (line {rule.line})" if rule.name else policy.name_of(number)


def _contradicts(earlier: Rule, rule: Rule) -> bool:
    """Return whether the order of two rules is suspicious.

    A looser rule before a stricter one weakens it. The opposite order is an exception to a rule,
    unless both have the same conditions.
    """
    looser = RANK[earlier.verdict] < RANK[rule.verdict]
    return looser or (
        earlier.verdict is not rule.verdict and set(earlier.conditions) == set(rule.conditions)
    )


def _covers(outer: Rule, inner: Rule) -> bool:
    """Return whether everything that matches the inner rule matches the outer one."""
    return all(_wider(getattr(outer, name), getattr(inner, name)) for name in outer.conditions)


def _wider(outer: Any, inner: Any) -> bool:
    if inner is None:
        return False
    match outer:
        case SeverityIs():
            return bool(outer.at_least <= inner.at_least and inner.at_most <= outer.at_most)
        case TargetIs():
            return _wider_target(outer, inner)
        case tuple():
            return set(inner) <= set(outer)
        case _:
            return bool(outer == inner)


def _wider_target(outer: TargetIs, inner: TargetIs) -> bool:
    if outer.type is not None and not (inner.type and set(inner.type) <= set(outer.type)):
        return False
    if not outer.named:
        return True
    return inner.named and all(
        any(_holds(name, big, small) for big in getattr(outer, name))
        for name in _LISTS
        for small in getattr(inner, name)
    )


def _overlap(one: Rule, other: Rule) -> bool:
    """Return whether a change may match both, by the conditions that both rules have."""
    both = [name for name in one.conditions if name in other.conditions]
    return all(_meet(getattr(one, name), getattr(other, name)) for name in both)


def _meet(one: Any, other: Any) -> bool:
    match one:
        case SeverityIs():
            return bool(one.at_least <= other.at_most and other.at_least <= one.at_most)
        case TargetIs():
            return _meet_target(one, other)
        case Hours():
            return not set(one.days).isdisjoint(other.days)
        case tuple():
            return not set(one).isdisjoint(other)
        case _:
            return bool(one == other)


def _meet_target(one: TargetIs, other: TargetIs) -> bool:
    if one.type and other.type and set(one.type).isdisjoint(other.type):
        return False
    if not (one.named and other.named):
        return True
    return _named_in(one, other) or _named_in(other, one)


def _named_in(one: TargetIs, other: TargetIs) -> bool:
    """Return whether an entry of one, in any list, overlaps the other."""
    return any(
        overlaps(kind, entry, other)
        for name, kind in _LISTS.items()
        for entry in getattr(one, name)
    )


def _holds(name: str, big: str, small: str) -> bool:
    """Return whether one entry of a list contains another."""
    if name == "domains":
        return small == big or small.endswith(f".{big}")
    if name != "networks":
        return big == small
    outer, inner = ipaddress.ip_network(big), ipaddress.ip_network(small)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]
