"""What in a good policy is most likely a mistake? Rules that never fit, rules that contradict each other, tags that nothing bears."""

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
from orchestrator.policy.targets import touches

_LISTS = {
    "addresses": ObservableType.ADDRESS,
    "networks": ObservableType.NETWORK,
    "domains": ObservableType.DOMAIN,
    "hosts": ObservableType.HOST,
    "users": ObservableType.USER,
}


def warnings(
    policy: Policy, known_tags: Iterable[str] = (), file: str = "policy.yaml"
) -> tuple[str, ...]:
    """One line each, with file and line. `known_tags`: those of the inventory."""
    tags = {*WELL_KNOWN_TAGS, *known_tags}
    found = [
        line
        for number, rule in enumerate(policy.rules)
        for line in (*_pairs(policy, number), *_unknown(rule, tags))
    ]
    return tuple(f"{file}:{line}" for line in found)


def _unknown(rule: Rule, known: set[str]) -> Iterator[str]:
    for tag in rule.tags or ():
        if tag not in known:
            mend = did_you_mean(tag, known)
            yield f"{rule.line}: unknown tag {tag!r}" + (f"; {mend}" if mend else "")


def _pairs(policy: Policy, number: int) -> Iterator[str]:
    """Against those before it; one that is covered needs no word on what it overlaps."""
    rule, before = policy.rules[number], list(enumerate(policy.rules[:number]))
    covering = next((other for other, earlier in before if _covers(earlier, rule)), None)
    if covering is not None:
        stands = f"{_called(policy, covering)} fits all that it fits, and stands before it"
        yield f"{rule.line}: {_called(policy, number)} never decides: {stands}; move it up, or remove it"
        return
    for other, earlier in before:
        if _contradicts(earlier, rule) and _overlap(earlier, rule) and not _covers(rule, earlier):
            one, another = (
                f"{_called(policy, each)}, {policy.rules[each].verdict.value},"
                for each in (number, other)
            )
            yield f"{rule.line}: {one} and {another} overlap: where both fit, line {earlier.line} decides"


def _called(policy: Policy, number: int) -> str:
    rule = policy.rules[number]
    return f"{rule.name!r} (line {rule.line})" if rule.name else policy.name_of(number)


def _contradicts(earlier: Rule, rule: Rule) -> bool:
    """A looser rule before a stricter one takes from it; the other way round is an exception, unless both are about the same."""
    looser = RANK[earlier.verdict] < RANK[rule.verdict]
    return looser or (
        earlier.verdict is not rule.verdict and set(earlier.conditions) == set(rule.conditions)
    )


def _covers(outer: Rule, inner: Rule) -> bool:
    """Whether all that fits the inner one surely fits the outer one."""
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
    """Whether something may well fit both. Conditions that only one of them has leave that open, so they say nothing against it."""
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
    """Whether an entry of one, whatever its list, has to do with the other: an address with a network, say."""
    return any(
        touches(kind, entry, other) for name, kind in _LISTS.items() for entry in getattr(one, name)
    )


def _holds(name: str, big: str, small: str) -> bool:
    """Whether one entry of a list is a part of another."""
    if name == "domains":
        return small == big or small.endswith(f".{big}")
    if name != "networks":
        return big == small
    outer, inner = ipaddress.ip_network(big), ipaddress.ip_network(small)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]
