"""What is said of a backtest: the kinds of difference with examples, and how it went day by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from orchestrator.authoring.outcomes import About, Difference, Group, Outcome, differences, grouped
from orchestrator.domain.model import Frozen


class Judged(NamedTuple):
    """One alert: what was done about it, and what the draft would have done. `errors`: of the draft's failed steps, by step."""

    about: About
    received_at: datetime
    then: Outcome
    now: Outcome
    errors: dict[str, str]


class Day(Frozen):
    """One day, UTC. `contained`, `asked`: how many changes."""

    day: str
    alerts: int = 0
    contained_then: int = 0
    contained_now: int = 0
    asked_then: int = 0
    asked_now: int = 0


class Reading(Frozen):
    """How many reads were answered from where; `unknown`: from nowhere."""

    recorded: int = 0
    live: int = 0
    stub: int = 0
    unknown: int = 0


class Backtest(Frozen):
    """The result. `more_alerts`: there were more in that time than were looked at; the newest were.

    `policy`: digest of the one that judged. `same`: alerts without any difference.
    """

    playbook: str
    draft: str
    plan_digest: str
    policy: str
    since: datetime
    until: datetime
    source: str | None
    alerts: int
    more_alerts: bool
    started_then: int
    started_now: int
    same: int
    reads: Reading
    groups: tuple[Group, ...]
    days: tuple[Day, ...]

    @property
    def differs(self) -> bool:
        """Whether the draft would have done anything else than was done."""
        return self.same < self.alerts


def summed(judged: Iterable[Judged]) -> tuple[int, tuple[Group, ...], tuple[Day, ...]]:
    """How many are alike, the differences in groups, and the days."""
    pairs = []
    same = 0
    days: dict[str, Day] = {}
    for each in judged:
        found = differences(each.then, each.now)
        same += not found
        if failed := found.get(Difference.FAILED):
            found[Difference.FAILED] = tuple(
                _with_reason(what, each.errors.get(what)) for what in failed
            )
        pairs.append((each.about, found))
        name = each.received_at.date().isoformat()
        days[name] = _more(days.get(name) or Day(day=name), each)
    return same, tuple(grouped(pairs)), tuple(days[name] for name in sorted(days))


def _with_reason(what: str, why: str | None) -> str:
    return f"{what}: {why.removeprefix(f'{what}: ')}" if why else what


def _more(day: Day, each: Judged) -> Day:
    return Day(
        day=day.day,
        alerts=day.alerts + 1,
        contained_then=day.contained_then + len(each.then.contained),
        contained_now=day.contained_now + len(each.now.contained),
        asked_then=day.asked_then + len(each.then.asked),
        asked_now=day.asked_now + len(each.now.asked),
    )
