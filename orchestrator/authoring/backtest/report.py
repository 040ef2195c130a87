"""The result of a backtest: differences by kind with examples, and counts by day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ConfigDict

from orchestrator.authoring.outcomes.differences import (
    AlertSummary,
    DifferenceGroup,
    Outcome,
    OutcomeDifference,
    compare_outcomes,
    group_differences,
)
from orchestrator.domain.model import Frozen

_EXAMPLE: dict[str, Any] = {
    "playbook": "brute-force-block",
    "draft": "brute-force-block@2",
    "plan_digest": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "policy": "7a1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-01-31T00:00:00Z",
    "source": None,
    "alerts": 120,
    "more_alerts": False,
    "started_then": 100,
    "started_now": 100,
    "open": 1,
    "same": 119,
    "reads": {"recorded": 100, "live": 0, "stub": 0, "unknown": 0},
    "groups": [
        {
            "difference": "contained more",
            "count": 1,
            "examples": [
                {
                    "about": {
                        "alert_id": "alert_1",
                        "title": "Password guessing",
                        "created_at": "2026-01-02T03:04:05Z",
                    },
                    "what": ["firewall.block_address 198.51.100.7"],
                }
            ],
        }
    ],
    "days": [
        {
            "day": "2026-01-02",
            "alerts": 4,
            "contained_then": 1,
            "contained_now": 2,
            "asked_then": 0,
            "asked_now": 0,
        }
    ],
}


class ReplayedAlert(NamedTuple):
    """One alert: what was done about it, and what the draft would have done."""

    about: AlertSummary
    received_at: datetime
    then: Outcome
    now: Outcome
    errors: dict[str, str]  # of what failed in the draft, as its outcome names it


class Day(Frozen):
    """The counts of one day (UTC); `contained` and `asked` count changes."""

    day: str
    alerts: int = 0
    contained_then: int = 0
    contained_now: int = 0
    asked_then: int = 0
    asked_now: int = 0


class ReadCounts(Frozen):
    """How many reads were answered by what; `unknown`: by nothing."""

    recorded: int = 0
    live: int = 0
    stub: int = 0
    unknown: int = 0


class Backtest(Frozen):
    """How a draft differs from what was done about stored alerts."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    playbook: str
    draft: str
    plan_digest: str
    policy: str
    """Digest of the policy that evaluated the changes."""
    since: datetime
    until: datetime
    source: str | None
    alerts: int
    more_alerts: bool
    """Whether there were more alerts in that time; the newest were replayed."""
    started_then: int
    started_now: int
    open: int
    """Alerts that are left out, as their runs are still open."""
    same: int
    """Alerts without any difference."""
    reads: ReadCounts
    groups: tuple[DifferenceGroup, ...]
    days: tuple[Day, ...]

    @property
    def differs(self) -> bool:
        """Whether the draft would have done anything differently."""
        return self.same < self.alerts


def summarize(
    replayed: Iterable[ReplayedAlert],
) -> tuple[int, tuple[DifferenceGroup, ...], tuple[Day, ...]]:
    """Return the number of alerts without difference, the groups of differences, and the days."""
    pairs = []
    same = 0
    days: dict[str, Day] = {}
    for each in replayed:
        found = compare_outcomes(each.then, each.now)
        same += not found
        if failed := found.get(OutcomeDifference.FAILED):
            found[OutcomeDifference.FAILED] = tuple(
                _with_reason(what, each.errors.get(what)) for what in failed
            )
        pairs.append((each.about, found))
        name = each.received_at.date().isoformat()
        days[name] = _more(days.get(name) or Day(day=name), each)
    return same, tuple(group_differences(pairs)), tuple(days[name] for name in sorted(days))


def _with_reason(what: str, why: str | None) -> str:
    return f"{what}: {why.removeprefix(f'{what}: ')}" if why else what


def _more(day: Day, each: ReplayedAlert) -> Day:
    return Day(
        day=day.day,
        alerts=day.alerts + 1,
        contained_then=day.contained_then + len(each.then.contained),
        contained_now=day.contained_now + len(each.now.contained),
        asked_then=day.asked_then + len(each.then.asked),
        asked_now=day.asked_now + len(each.now.asked),
    )
