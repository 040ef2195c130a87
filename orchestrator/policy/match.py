"""Matching of a rule with a change, condition by condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import Enum, auto
from functools import cached_property
from zoneinfo import ZoneInfo

from orchestrator.domain.change import Change, Verdict
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.policy.inputs import ChangeContext, ChangeFacts
from orchestrator.policy.rules import DAYS, Hours, Rule, TargetIs
from orchestrator.policy.targets import contained_in, known_as, overlaps

_SHOWN_NAMES = 10


@dataclass(frozen=True)
class RuleInput:
    """A change with its facts and context."""

    change: Change
    facts: ChangeFacts
    context: ChangeContext

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags of the inventory, and `critical` for a critical target."""
        return tuple(
            dict.fromkeys((*self.facts.tags, *(("critical",) if self.facts.critical else ())))
        )

    @cached_property
    def canonical_target(self) -> tuple[ObservableType, str] | None:
        """The target in its canonical spelling; None if it cannot be parsed."""
        target = self.change.target
        try:
            return target.type, CANONICAL[target.type](target.value)
        except ValueError:
            return None


class NameScope(Enum):
    """The names that a target is matched by: its own, or all that it is known as."""

    OWN = auto()
    ALL = auto()


@dataclass(frozen=True)
class Condition:
    """One condition of a rule; `expected` and `found` are for people to read."""

    name: str
    expected: str
    found: str
    holds: bool


def matches(rule: Rule, given: RuleInput, names: NameScope) -> bool:
    """Return whether all conditions hold, for these names of the target."""
    return all(_HOLDS[name](rule, given, names) for name in rule.conditions)


def check_conditions(rule: Rule, given: RuleInput) -> list[Condition]:
    """Return all conditions of a rule, to explain why it matches or does not."""
    names = NameScope.OWN if rule.verdict is Verdict.ALLOW else NameScope.ALL
    return [
        Condition(
            name,
            _expected(rule, name),
            _FOUND[name](given),
            _HOLDS[name](rule, given, names),
        )
        for name in rule.conditions
    ]


def _target(rule: Rule, given: RuleInput, names: NameScope) -> bool:
    wanted = rule.target
    if wanted is None or (wanted.type is not None and given.change.target.type not in wanted.type):
        return wanted is None
    if not wanted.named:
        return True
    if given.canonical_target is None:  # unreadable: never allow it, but deny or ask
        return rule.verdict is not Verdict.ALLOW
    if rule.verdict is Verdict.ALLOW:
        return contained_in(*given.canonical_target, wanted)
    others = (
        [(kind, name) for name in given.facts.names for kind in known_as(given.canonical_target[0])]
        if names is NameScope.ALL
        else []
    )
    return any(overlaps(*each, wanted) for each in (given.canonical_target, *others))


def _tags(rule: Rule, given: RuleInput, _: NameScope) -> bool:
    """Return whether a tag matches. A rule that allows ignores tags by forgeable names."""
    surely = given.facts.sure_tags if rule.verdict is Verdict.ALLOW else None
    return not set(given.tags if surely is None else surely).isdisjoint(rule.tags or ())


def _time(rule: Rule, given: RuleInput, _: NameScope) -> bool:
    if rule.time is None:
        return True
    if given.context.at is None:
        return rule.verdict is not Verdict.ALLOW
    now = given.context.at if given.context.at.tzinfo else given.context.at.replace(tzinfo=UTC)
    local = now.astimezone(ZoneInfo(rule.time.zone))
    today, yesterday = DAYS[local.weekday()], DAYS[(local - timedelta(days=1)).weekday()]
    if rule.time.span is None:
        return today in rule.time.days
    begin, end = rule.time.span
    clock = local.time()
    if begin < end:
        return begin <= clock < end and today in rule.time.days
    return (clock >= begin and today in rule.time.days) or (
        clock < end and yesterday in rule.time.days
    )


def _actions(given: RuleInput) -> set[str]:
    change = given.change
    return {change.action, f"{change.connection}.{change.action}"}


_HOLDS: dict[str, Callable[[Rule, RuleInput, NameScope], bool]] = {
    "effect": lambda rule, given, _: given.change.effect in (rule.effect or ()),
    "action": lambda rule, given, _: not _actions(given).isdisjoint(rule.action or ()),
    "target": _target,
    "tags": _tags,
    "severity": lambda rule, given, _: (
        rule.severity is None
        or rule.severity.at_least <= given.context.severity <= rule.severity.at_most
    ),
    "source": lambda rule, given, _: given.context.source in (rule.source or ()),
    "playbook": lambda rule, given, _: given.context.playbook in (rule.playbook or ()),
    "connection": lambda rule, given, _: given.change.connection in (rule.connection or ()),
    "connector": lambda rule, given, _: given.change.connector in (rule.connector or ()),
    "time": _time,
    "known": lambda rule, given, _: given.facts.known is rule.known,
    "internal": lambda rule, given, _: given.facts.internal is rule.internal,
    "held_by_others": lambda rule, given, _: given.facts.held_by_others is rule.held_by_others,
    "approved_by_group": lambda rule, given, _: (
        bool(given.facts.approved_by) is rule.approved_by_group
    ),
}

_FOUND: dict[str, Callable[[RuleInput], str]] = {
    "effect": lambda given: given.change.effect.value,
    "action": lambda given: f"{given.change.connection}.{given.change.action}",
    "target": lambda given: (
        f"{given.change.target}"
        + (f" (also {_some(given.facts.names)})" if given.facts.names else "")
    ),
    "tags": lambda given: ", ".join(given.tags) or "none",
    "severity": lambda given: str(given.context.severity),
    "source": lambda given: given.context.source or "none (started by a person)",
    "playbook": lambda given: given.context.playbook or "none",
    "connection": lambda given: given.change.connection,
    "connector": lambda given: given.change.connector,
    "time": lambda given: (
        f"{given.context.at:%a %Y-%m-%d %H:%M %Z}".strip() if given.context.at else "unknown"
    ),
    "known": lambda given: "in the inventory" if given.facts.known else "not in the inventory",
    "approved_by_group": lambda given: (
        f"approved by {', '.join(given.facts.approved_by)}"
        if given.facts.approved_by
        else "not approved by a group"
    ),
    "internal": lambda given: _internal(given.facts.internal),
    "held_by_others": lambda given: (
        "; ".join(map(str, given.change.holders))
        or ("held by other runs" if given.facts.held_by_others else "not held by other runs")
    ),
}


def _expected(rule: Rule, name: str) -> str:
    match getattr(rule, name):
        case TargetIs() as target:
            listed = [
                str(entry)
                for field in ("addresses", "networks", "domains", "hosts", "users")
                for entry in getattr(target, field)
            ]
            return " ".join(
                filter(
                    None, ["/".join(kind.value for kind in target.type or ()), ", ".join(listed)]
                )
            )
        case Hours() as hours:
            clock = f"{hours.from_}-{hours.to}" if hours.span else "all day"
            days = ", ".join(hours.days) if hours.days != DAYS else "every day"
            return f"{clock} {days} ({hours.zone})"
        case tuple() as words:
            return " or ".join(getattr(word, "value", str(word)) for word in words)
        case bool() as approved if name == "approved_by_group":
            return "approved by a group" if approved else "not approved by a group"
        case bool() as held if name == "held_by_others":
            return "held by other runs" if held else "not held by other runs"
        case bool() as internal if name == "internal":
            return _internal(internal)
        case bool() as known:
            return "in the inventory" if known else "not in the inventory"
        case severity:
            return f"{severity.at_least} to {severity.at_most}"


def _internal(internal: bool) -> str:  # noqa: FBT001 - private, the words of a fact
    return "internal" if internal else "not internal"


def _some(names: tuple[str, ...]) -> str:
    """Return names as a list that people can read: a network may have thousands."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
