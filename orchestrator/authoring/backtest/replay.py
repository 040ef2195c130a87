"""The replay of stored alerts by the interpreter, next to what was really done about them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.authoring.backtest.history_index import HistoryIndex
from orchestrator.authoring.backtest.policy_inputs import PolicyInputs
from orchestrator.authoring.backtest.port import (
    HistoryPort,
    HistoryState,
    UnknownTolerantInterpreter,
)
from orchestrator.authoring.backtest.read_resolver import Live, ReadFallback, ReadResolver
from orchestrator.authoring.backtest.report import Backtest, ReadCounts, ReplayedAlert, summarize
from orchestrator.authoring.backtest.triggers import StartDecision, TriggerReplay
from orchestrator.authoring.outcomes.differences import (
    NOT_STARTED,
    THE_RUN,
    AlertSummary,
    Outcome,
    unique,
)
from orchestrator.authoring.outcomes.from_live_runs import is_approved_over_limit, live_outcome
from orchestrator.authoring.rehearsal.inventory import CaseInventory
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.contracts.run import RunContext, RunInput
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.playbook.compile.inputs import accept_inputs
from orchestrator.playbook.language.unknown import CannotTell
from orchestrator.playbook.plan import Ask, Plan, Use, walk, walk_steps, without_rounds
from orchestrator.policy.evaluate import COUNTED
from orchestrator.policy.inputs import PolicyInForce
from orchestrator.store.queries import history
from orchestrator.store.queries.history import AlertRuns, StoredAlert
from orchestrator.store.session import Store

CHUNK = 200
MOST_DIGESTS = 200_000
MOST_ALERTS = 5_000
_UNFINISHED = {status.value for status in RunStatus if not status.over}
_PAUSE = 5  # alerts, after which other tasks of the event loop get their turn


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The alerts to replay: received from `since` until before `until`."""

    since: datetime
    until: datetime
    source: str | None = None  # None: of all sources
    limit: int = MOST_ALERTS  # the newest


@dataclass(frozen=True, slots=True)
class BacktestInput:
    """The draft to replay, and what it is replayed with."""

    plan: Plan
    draft: str  # its name in messages
    policy: PolicyInForce
    policy_inputs: PolicyInputs
    fallback: ReadFallback = ReadFallback.RECORDED
    stubs: Mapping[str, Stub] | None = None
    live: Live | None = None
    seconds: float | None = None  # the longest time that the backtest may take


async def replay_alerts(store: Store, given: BacktestInput, span: TimeRange) -> Backtest:
    """Replay a draft over stored alerts. Writes nothing, and calls nothing but `live`.

    Raises Invalid for a playbook without trigger, and Unavailable after `seconds`.
    """
    if given.plan.trigger is None:
        raise Invalid(
            f"{given.draft}: has no trigger, so no alert starts it; add a trigger, "
            "or try it with `tocsin playbook test`"
        )
    began = time.monotonic()
    triggers = TriggerReplay(given.plan, given.plan.trigger)
    found, more, first = await _load_alerts(store, span, triggers)
    replay = _Replay(store, given, triggers)
    await replay.open()
    replayed: list[ReplayedAlert] = []
    for start in range(0, len(found), CHUNK):
        async for each in replay.chunk(found[start : start + CHUNK]):
            replayed.append(each)
            if len(replayed) % _PAUSE == 0:
                await asyncio.sleep(0)
            if given.seconds is not None and time.monotonic() - began > given.seconds:
                raise Unavailable(
                    f"{len(replayed)} alerts took longer than {given.seconds:g} seconds; "
                    "try fewer at once, by `limit`"
                )
    same, groups, days = summarize(replayed)
    return Backtest(
        playbook=given.plan.playbook,
        draft=given.draft,
        plan_digest=given.plan.digest,
        policy=given.policy.digest,
        since=first,
        until=span.until,
        source=span.source,
        alerts=len(replayed),
        more_alerts=more,
        started_then=sum(each.then.started for each in replayed),
        started_now=sum(each.now.started for each in replayed),
        open=replay.open_alerts,
        same=same,
        reads=ReadCounts(**replay.resolver.counts),
        groups=groups,
        days=days,
    )


async def _load_alerts(
    store: Store, span: TimeRange, triggers: TriggerReplay
) -> tuple[list[StoredAlert], bool, datetime]:
    """Return the alerts to replay, whether there are more, and the start of their time range.

    Alerts before it are passed to the triggers, as they may cover later ones.
    """
    async with store.read() as session:
        found, more = await history.alerts_between(
            session, span.since, span.until, span.source, span.limit
        )
        first = found[0].received_at if more else span.since
        before, _ = await history.alerts_between(
            session, first - triggers.memory, first, span.source, MOST_ALERTS
        )
    for alert in before:
        triggers.start(alert)
    return found, more, first


class _Replay:
    """One backtest on its way through the alerts."""

    def __init__(self, store: Store, given: BacktestInput, triggers: TriggerReplay) -> None:
        self._store = store
        self._given = given
        self._triggers = triggers
        self._inputs = accept_inputs(given.plan.inputs, {})
        self._digest = given.plan.digest
        self._effectful: dict[str, bool] = {}
        for step, effectful in steps_with_effects(given.plan):
            # A called playbook may have a step with the same id.
            self._effectful[step] = self._effectful.get(step, False) or effectful
        self._loaded: set[str] = set()
        # The digests with a record; None while unknown.
        self._digests: frozenset[str] | None = None
        self.open_alerts = 0  # left out, as their runs are not over
        self.resolver = ReadResolver(
            HistoryIndex(),
            given.fallback,
            given.stubs or {},
            self._fetch,
            self._joined,
            given.live,
        )

    async def open(self) -> None:
        """Load the digests with a record, so that others are not looked up."""
        async with self._store.read() as session:
            self._digests = await history.recorded_digests(session, MOST_DIGESTS)

    async def chunk(self, alerts: Sequence[StoredAlert]) -> AsyncIterator[ReplayedAlert]:
        """Yield each alert with what was done and what the draft would have done."""
        async with self._store.read() as session:
            runs = await history.runs_by_alert(
                session, self._given.plan.playbook, [alert.id for alert in alerts]
            )
            if self.resolver.index.full:
                self.resolver.index = HistoryIndex()
                self._loaded.clear()
            fresh = {alert.incident_id for alert in alerts} - self._loaded
            self._loaded |= fresh
            self.resolver.index.add(await history.steps_of_incidents(session, sorted(fresh)))
        for alert in alerts:
            then = runs.get(alert.id)
            if then is not None and any(run.status in _UNFINISHED for run in then.runs):
                self._triggers.start(alert)  # it still covers later ones
                self.open_alerts += 1
                continue
            now, errors = await self._replay(alert, then)
            about = AlertSummary(alert_id=alert.id, title=alert.title, created_at=alert.received_at)
            yield ReplayedAlert(about, alert.received_at, live_outcome(then), now, errors)

    async def _replay(
        self, alert: StoredAlert, then: AlertRuns | None
    ) -> tuple[Outcome, dict[str, str]]:
        match self._triggers.start(alert):
            case StartDecision.NO:
                return NOT_STARTED, {}
            # Where people let the run begin then, they are assumed to do so again.
            case StartDecision.LIMITED if then is None or not is_approved_over_limit(then):
                limit = self._given.plan.limits.runs_per_hour
                why = f"it waits for an approval: its limit of {limit} runs per hour is used up"
                return Outcome(started=True, status="waiting", failed=(THE_RUN,)), {THE_RUN: why}
        state = build_state(self._given, alert, self.resolver, self._inputs, self._digest)
        status: str | None = None
        try:
            interpreter = UnknownTolerantInterpreter(HistoryPort(state), state)
            status = (await interpreter.run_plan()).status.value
        except CannotTell as why:
            state.unknown[""] = str(why)
        return self._outcome(state, status)

    def _outcome(self, state: HistoryState, status: str | None) -> tuple[Outcome, dict[str, str]]:
        failed = {
            f"step {path}": state.errors.get(path, "")
            for path, step_state in state.states.items()
            if step_state is StepState.FAILED
        }
        unknown = [
            f"step {path}: {why}" if path else why
            for path, why in state.unknown.items()
            if self._is_effectful(path)
        ]
        outcome = Outcome(
            started=True,
            status="unknown" if state.unknown else status,
            contained=unique(state.contained),
            asked=unique(state.would_ask),
            denied=unique(state.denied),
            failed=unique(failed),
            unknown=unique(unknown),
        )
        return outcome, failed

    def _is_effectful(self, path: str) -> bool:
        """Return whether a step could have contained something or asked people."""
        return not path or self._effectful.get(without_rounds(path).rpartition("/")[2], True)

    async def _fetch(self, digest: str, at: datetime) -> Sequence[history.RecordedStep]:
        if self._digests is not None and digest not in self._digests:
            return ()
        async with self._store.read() as session:
            return await history.steps_by_digest(session, digest, at)

    async def _joined(self, incident_id: str) -> Sequence[StoredAlert]:
        async with self._store.read() as session:
            return await history.alerts_of_incident(session, incident_id)


def build_state(
    given: BacktestInput,
    alert: StoredAlert,
    resolver: ReadResolver,
    inputs: dict[str, Any],
    plan_digest: str,
) -> HistoryState:
    """Return the state in which an alert is replayed."""
    plan = given.plan
    run = RunContext.of_plan(
        plan,
        run_id=f"run_backtest_{alert.id}",
        plan_digest=plan_digest,
        mode=Mode.LIVE,
        source=alert.source,
        severity=alert.severity,
        started_by=f"source:{alert.source}",
        incident_id=alert.incident_id,
    )
    return HistoryState(
        given=RunInput(
            run=run, plan=plan, alert=alert.view, inputs=inputs, started_at=alert.received_at
        ),
        stubs={},
        answers=(),
        policy=given.policy,
        inventory=CaseInventory(),
        alert=alert,
        resolver=resolver,
        policy_inputs=given.policy_inputs,
    )


def steps_with_effects(plan: Plan) -> Iterator[tuple[str, bool]]:
    """Yield each step's id with whether it, or a step inside it, can contain or ask people."""
    for _, step in walk(plan):
        inside = [each for _, each in walk_steps([step])]
        changes = any(isinstance(each, Use) and each.effect in COUNTED for each in inside)
        asks = any(each.approve or isinstance(each, Ask) for each in inside)
        yield step.id, changes or asks
