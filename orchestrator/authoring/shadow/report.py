"""Where does a shadow differ from the version that takes the alerts? Alert by alert, from what both left in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.authoring.backtest.actual_outcome import outcome_of
from orchestrator.authoring.backtest.replay import steps_with_effects
from orchestrator.authoring.outcomes import (
    NOT_STARTED,
    About,
    Difference,
    Group,
    Outcome,
    differences,
    grouped,
)
from orchestrator.authoring.shadow.dry_outcome import errors_of, outcome_of_dry
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import SHADOW, Mode, RunStatus
from orchestrator.playbook.plan import Plan
from orchestrator.runtime import Runtime
from orchestrator.store.queries import history, records, shadows
from orchestrator.store.queries.shadows import Watch
from orchestrator.store.tables import PlaybookRow, RunRow, StepRow

MOST_RUNS = 5_000

_OPEN = {status.value for status in RunStatus if status.open}


class ShadowReport(Frozen):
    """`alerts`: how many were compared, of which `same` without any difference; `open`: alerts whose runs are not over yet, left out.

    `more`: there were more runs in that time than were looked at; the newest were. `until`: null while it is a shadow.
    """

    playbook: str
    version: int
    since: datetime
    until: datetime | None
    alerts: int
    started_live: int
    started_shadow: int
    open: int
    same: int
    more: bool
    groups: tuple[Group, ...]


async def shadow_report(
    rt: Runtime, name: str, *, since: timedelta, version: int | None = None
) -> ShadowReport:
    """Of that version, else of the newest that is or was a shadow; at most since it is one. Raises NotFound."""
    async with rt.store.read() as session:
        row, watch = await _watched(session, name, version)
        watch = Watch(max(watch.since, rt.clock() - since), watch.until)
        dry = await shadows.shadow_runs(session, name, row.version, watch, MOST_RUNS)
        live = await shadows.beside(session, name, watch, MOST_RUNS)
        pairs = _Pairs(dry, live, dict(steps_with_effects(Plan.model_validate(row.plan))))
        await pairs.load(session, name)
    return pairs.report(row, watch)


async def _watched(
    session: AsyncSession, name: str, version: int | None
) -> tuple[PlaybookRow, Watch]:
    rows = [row for row in await records.versions(session, name) if version in {None, row.version}]
    for row in sorted(
        rows, key=lambda row: (row.stage == SHADOW and not row.retired, row.version), reverse=True
    ):
        if (watch := await shadows.last_watch(session, name, row.version)) is not None:
            return row, watch
    what = name if version is None else f"{name}@{version}"
    raise NotFound(f"{what} never ran as a shadow; begin with `tocsin shadow on {name}@VERSION`")


class _Pairs:
    """The runs of both sides, by alert. `dry`: of the shadow; `live`: of the version beside it."""

    def __init__(
        self, dry: Sequence[RunRow], live: Sequence[RunRow], tasks: Mapping[str, bool]
    ) -> None:
        self._dry = {str(run.alert_id): run for run in reversed(dry)}
        self._live = {str(run.alert_id): run for run in reversed(live)}
        self._tasks = tasks
        self._more = MOST_RUNS in {len(dry), len(live)}
        # Where the source is dry, both sides are, and nothing was done that could be compared with.
        for alert in [alert for alert, run in self._live.items() if run.mode != Mode.LIVE]:
            self._live.pop(alert)
            self._dry.pop(alert, None)
        self._done: dict[str, history.Done] = {}
        self._steps: dict[str, list[StepRow]] = {}
        self._alerts: dict[str, tuple[str, datetime]] = {}

    async def load(self, session: AsyncSession, name: str) -> None:
        """What they left."""
        alerts = sorted({*self._dry, *self._live})
        self._done = await history.done_about(session, name, alerts)
        self._steps = await shadows.steps_of(session, [run.id for run in self._dry.values()])
        self._alerts = await shadows.alerts_of(session, alerts)

    def report(self, row: PlaybookRow, watch: Watch) -> ShadowReport:
        """All of them, compared."""
        found: list[tuple[About, dict[Difference, tuple[str, ...]]]] = []
        open_ = 0
        for alert in sorted(self._alerts, key=lambda alert: self._alerts[alert][1]):
            if self._is_open(alert):
                open_ += 1
                continue
            title, at = self._alerts[alert]
            found.append(
                (
                    About(alert_id=alert, title=title, received_at=at.isoformat()),
                    self._compared(alert),
                )
            )
        return ShadowReport(
            playbook=row.name,
            version=row.version,
            since=watch.since,
            until=watch.until,
            alerts=len(found),
            started_live=len(self._live),
            started_shadow=len(self._dry),
            open=open_,
            same=sum(not differs for _, differs in found),
            more=self._more,
            groups=tuple(grouped(found)),
        )

    def _is_open(self, alert: str) -> bool:
        done, dry = self._done.get(alert), self._dry.get(alert)
        return any(
            run.status in _OPEN for run in [*(done.runs if done else []), *([dry] if dry else [])]
        )

    def _compared(self, alert: str) -> dict[Difference, tuple[str, ...]]:
        then, run = outcome_of(self._done.get(alert)), self._dry.get(alert)
        steps = self._steps.get(run.id, []) if run else []
        now: Outcome = outcome_of_dry(run, steps, self._tasks, then) if run else NOT_STARTED
        found = differences(then, now)
        if run is not None and (failed := found.get(Difference.FAILED)):
            errors = errors_of(run, steps)
            found[Difference.FAILED] = tuple(
                f"{what}: {errors[what]}" if errors.get(what) else what for what in failed
            )
        return found
