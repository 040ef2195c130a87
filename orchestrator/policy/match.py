"""Does a rule fit a change? Condition by condition, with what was wanted and what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, timedelta
from enum import Enum, auto
from functools import cached_property
from zoneinfo import ZoneInfo

from orchestrator.domain.change import Change, Verdict
from orchestrator.domain.observable import CANONICAL, ObservableType
from orchestrator.policy.inputs import Context, Facts
from orchestrator.policy.rules import DAYS, Hours, Rule, TargetIs
from orchestrator.policy.targets import known_as, lies_within, touches


@dataclass(frozen=True)
class Moment:
    """A change, and the moment in which it is judged."""

    change: Change
    facts: Facts
    context: Context

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """Those of the inventory; whatever is critical bears that tag."""
        return tuple(
            dict.fromkeys((*self.facts.tags, *(("critical",) if self.facts.critical else ())))
        )

    @cached_property
    def spelled(self) -> tuple[ObservableType, str] | None:
        """The target in its canonical spelling; None: it cannot be read."""
        target = self.change.target
        try:
            return target.type, CANONICAL[target.type](target.value)
        except ValueError:
            return None


class Names(Enum):
    """By which names a target is looked at: its own alone, or by all that it is known as."""

    OWN = auto()
    ALL = auto()


@dataclass(frozen=True)
class Condition:
    """One condition of a rule. `wanted` and `found` are for people to read."""

    name: str
    wanted: str
    found: str
    holds: bool


def fits(rule: Rule, moment: Moment, names: Names) -> bool:
    """Whether all conditions hold, by which names of the target."""
    return all(_HOLDS[name](rule, moment, names) for name in rule.conditions)


def conditions(rule: Rule, moment: Moment) -> list[Condition]:
    """All conditions of a rule, for whoever asks why it fits or does not."""
    names = Names.OWN if rule.verdict is Verdict.ALLOW else Names.ALL
    return [
        Condition(
            name, _wanted(rule, name), _FOUND[name](moment), _HOLDS[name](rule, moment, names)
        )
        for name in rule.conditions
    ]


def _target(rule: Rule, moment: Moment, names: Names) -> bool:
    wanted = rule.target
    if wanted is None or (wanted.type is not None and moment.change.target.type not in wanted.type):
        return wanted is None
    if not wanted.named:
        return True
    if (
        moment.spelled is None
    ):  # nobody can say what it is: no reason to allow it, but to be careful
        return rule.verdict is not Verdict.ALLOW
    if rule.verdict is Verdict.ALLOW:
        return lies_within(*moment.spelled, wanted)
    others = (
        [(kind, name) for name in moment.facts.names for kind in known_as(moment.spelled[0])]
        if names is Names.ALL
        else []
    )
    return any(touches(*each, wanted) for each in (moment.spelled, *others))


def _tags(rule: Rule, moment: Moment, _: Names) -> bool:
    """A name that an alert made up must not lead to a tag by which something is allowed."""
    surely = moment.facts.sure_tags if rule.verdict is Verdict.ALLOW else None
    return not set(moment.tags if surely is None else surely).isdisjoint(rule.tags or ())


def _time(rule: Rule, moment: Moment, _: Names) -> bool:
    if rule.time is None:
        return True
    if moment.context.at is None:
        return rule.verdict is not Verdict.ALLOW
    now = moment.context.at if moment.context.at.tzinfo else moment.context.at.replace(tzinfo=UTC)
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


def _actions(moment: Moment) -> set[str]:
    change = moment.change
    return {change.action, f"{change.connection}.{change.action}"}


_HOLDS: dict[str, Callable[[Rule, Moment, Names], bool]] = {
    "effect": lambda rule, moment, _: moment.change.effect in (rule.effect or ()),
    "action": lambda rule, moment, _: not _actions(moment).isdisjoint(rule.action or ()),
    "target": _target,
    "tags": _tags,
    "severity": lambda rule, moment, _: (
        rule.severity is None
        or rule.severity.at_least <= moment.context.severity <= rule.severity.at_most
    ),
    "source": lambda rule, moment, _: moment.context.source in (rule.source or ()),
    "playbook": lambda rule, moment, _: moment.context.playbook in (rule.playbook or ()),
    "connection": lambda rule, moment, _: moment.change.connection in (rule.connection or ()),
    "connector": lambda rule, moment, _: moment.change.connector in (rule.connector or ()),
    "time": _time,
    "known": lambda rule, moment, _: moment.facts.known is rule.known,
}

_FOUND: dict[str, Callable[[Moment], str]] = {
    "effect": lambda moment: moment.change.effect.value,
    "action": lambda moment: f"{moment.change.connection}.{moment.change.action}",
    "target": lambda moment: (
        f"{moment.change.target}"
        + (f" (also {', '.join(moment.facts.names)})" if moment.facts.names else "")
    ),
    "tags": lambda moment: ", ".join(moment.tags) or "none",
    "severity": lambda moment: str(moment.context.severity),
    "source": lambda moment: moment.context.source or "none: a person started it",
    "playbook": lambda moment: moment.context.playbook or "none",
    "connection": lambda moment: moment.change.connection,
    "connector": lambda moment: moment.change.connector,
    "time": lambda moment: (
        f"{moment.context.at:%a %Y-%m-%d %H:%M %Z}".strip() if moment.context.at else "unknown"
    ),
    "known": lambda moment: "in the inventory" if moment.facts.known else "not in the inventory",
}


def _wanted(rule: Rule, name: str) -> str:
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
            return f"{clock} {', '.join(hours.days) if hours.days != DAYS else 'every day'} ({hours.zone})"
        case tuple() as words:
            return " or ".join(getattr(word, "value", str(word)) for word in words)
        case bool() as known:
            return "in the inventory" if known else "not in the inventory"
        case severity:
            return f"{severity.at_least} to {severity.at_most}"
