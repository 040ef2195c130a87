"""Shadow reports: how a version that only runs dry differs from the one that takes the alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.authoring.backtest.replay import steps_with_effects
from orchestrator.authoring.outcomes.differences import (
    NOT_STARTED,
    AlertSummary,
    DifferenceGroup,
    Outcome,
    OutcomeDifference,
    compare_outcomes,
    group_differences,
)
from orchestrator.authoring.outcomes.from_dry_run import dry_run_outcome, failure_reasons
from orchestrator.authoring.outcomes.from_live_runs import live_outcome
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import SHADOW, Mode, RunStatus
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store.queries import history, records, shadows
from orchestrator.store.queries.shadows import ShadowPeriod
from orchestrator.store.tables import PlaybookRow, RunRow, StepRow

MOST_RUNS = 5_000

_UNFINISHED = {status.value for status in RunStatus if not status.over}
_EXAMPLE: dict[str, Any] = {
    "playbook": "c2-beacon-containment",
    "version": 4,
    "since": "2026-01-01T12:00:00Z",
    "until": None,
    "alerts": 40,
    "started_live": 40,
    "started_shadow": 40,
    "open": 1,
    "same": 39,
    "more": False,
    "groups": [
        {
            "difference": "contained more",
            "count": 1,
            "examples": [
                {
                    "about": {
                        "alert_id": "alert_1",
                        "title": "Beacon to a rare host",
                        "created_at": "2026-01-02T03:04:05Z",
                    },
                    "what": ["edr.isolate_host ws-042"],
                }
            ],
        }
    ],
}


class ShadowReport(Frozen):
    """A shadow compared with the live version, alert by alert."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    playbook: str
    version: int
    since: datetime
    until: datetime | None
    """Null while the version is a shadow."""
    alerts: int
    """Alerts that were compared."""
    started_live: int
    started_shadow: int
    open: int
    """Alerts that are left out, as their runs are still open."""
    same: int
    """Alerts without any difference."""
    more: bool
    """Whether there were more runs than were compared; the newest were."""
    groups: tuple[DifferenceGroup, ...]


async def shadow_report(
    rt: Runtime, name: str, *, since: timedelta, version: int | None = None
) -> ShadowReport:
    """Compare a shadow with the live version, from when it became a shadow, at most `since` ago.

    Without `version`, the newest version that is or was a shadow. Raises NotFound.
    """
    async with rt.store.read() as session:
        row, period = await _shadow_of(session, name, version)
        period = ShadowPeriod(max(period.since, rt.clock() - since), period.until)
        dry = await shadows.shadow_runs(session, name, row.version, period, MOST_RUNS)
        live = await shadows.live_runs(session, name, period, MOST_RUNS)
        pairs = _Pairs(dry, live, dict(steps_with_effects(Plan.model_validate(row.plan))))
        await pairs.load(session, name)
    return pairs.report(row, period)


async def _shadow_of(
    session: AsyncSession, name: str, version: int | None
) -> tuple[PlaybookRow, ShadowPeriod]:
    rows = [row for row in await records.versions(session, name) if version in {None, row.version}]
    for row in sorted(
        rows, key=lambda row: (row.stage == SHADOW and not row.retired, row.version), reverse=True
    ):
        if (period := await shadows.last_shadow_period(session, name, row.version)) is not None:
            return row, period
    what = name if version is None else f"{name}@{version}"
    raise NotFound(
        f"{what} never ran as a shadow; start one with `tocsin shadow start {name}@VERSION`"
    )


class _Pairs:
    """The runs of the shadow (`dry`) and of the live version, by alert."""

    def __init__(
        self, dry: Sequence[RunRow], live: Sequence[RunRow], effectful: Mapping[str, bool]
    ) -> None:
        self._dry = {str(run.alert_id): run for run in reversed(dry)}
        self._live = {str(run.alert_id): run for run in reversed(live)}
        self._effectful = effectful
        self._more = MOST_RUNS in {len(dry), len(live)}
        # Where the source is dry, both runs are dry, and there is no live run to compare with.
        for alert in [alert for alert, run in self._live.items() if run.mode != Mode.LIVE]:
            self._live.pop(alert)
            self._dry.pop(alert, None)
        self._runs: dict[str, history.AlertRuns] = {}
        self._steps: dict[str, list[StepRow]] = {}
        self._alerts: dict[str, tuple[str, datetime]] = {}

    async def load(self, session: AsyncSession, name: str) -> None:
        """Load what the runs left."""
        alerts = sorted({*self._dry, *self._live})
        self._runs = await history.runs_by_alert(session, name, alerts)
        self._steps = await shadows.steps_of(session, [run.id for run in self._dry.values()])
        self._alerts = await shadows.alerts_of(session, alerts)

    def report(self, row: PlaybookRow, period: ShadowPeriod) -> ShadowReport:
        """Compare all pairs whose runs are over."""
        compared: list[tuple[AlertSummary, dict[OutcomeDifference, tuple[str, ...]]]] = []
        open_ = 0
        for alert in sorted(self._alerts, key=lambda alert: self._alerts[alert][1]):
            if self._is_open(alert):
                open_ += 1
                continue
            title, at = self._alerts[alert]
            summary = AlertSummary(alert_id=alert, title=title, created_at=at)
            compared.append((summary, self._compare(alert)))
        return ShadowReport(
            playbook=row.name,
            version=row.version,
            since=period.since,
            until=period.until,
            alerts=len(compared),
            started_live=len(self._live),
            started_shadow=len(self._dry),
            open=open_,
            same=sum(not differs for _, differs in compared),
            more=self._more,
            groups=tuple(group_differences(compared)),
        )

    def _is_open(self, alert: str) -> bool:
        live, dry = self._runs.get(alert), self._dry.get(alert)
        runs = [*(live.runs if live else []), *([dry] if dry else [])]
        return any(run.status in _UNFINISHED for run in runs)

    def _compare(self, alert: str) -> dict[OutcomeDifference, tuple[str, ...]]:
        then, run = live_outcome(self._runs.get(alert)), self._dry.get(alert)
        steps = self._steps.get(run.id, []) if run else []
        now: Outcome = dry_run_outcome(run, steps, self._effectful, then) if run else NOT_STARTED
        found = compare_outcomes(then, now)
        if run is not None and (failed := found.get(OutcomeDifference.FAILED)):
            reasons = failure_reasons(run, steps)
            found[OutcomeDifference.FAILED] = tuple(
                f"{what}: {reasons[what]}" if reasons.get(what) else what for what in failed
            )
        return found
