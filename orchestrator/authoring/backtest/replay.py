"""What would a draft have done about the alerts that came? The interpreter over stored alerts, beside what was really done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from orchestrator.authoring.backtest.actual_outcome import outcome_of
from orchestrator.authoring.backtest.history_index import Past
from orchestrator.authoring.backtest.policy_inputs import Surroundings
from orchestrator.authoring.backtest.port import HistoryStage, HistoryWorld, Telling
from orchestrator.authoring.backtest.read_resolver import Live, Reads, Recollection
from orchestrator.authoring.backtest.report import Backtest, Judged, Reading, summed
from orchestrator.authoring.backtest.triggers import Keys, Start
from orchestrator.authoring.outcomes import NOT_STARTED, About, Outcome
from orchestrator.authoring.rehearsal.inventory import Inventory
from orchestrator.authoring.rehearsal.tests_yaml.model import Stub
from orchestrator.contracts.messages import RunContext, RunInput
from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.domain.run import Mode, StepState
from orchestrator.playbook.compile.inputs import accept
from orchestrator.playbook.language.unknown import CannotTell
from orchestrator.playbook.plan import Ask, Plan, Use
from orchestrator.policy.evaluate import COUNTED, InForce
from orchestrator.store.queries import history
from orchestrator.store.queries.history import StoredAlert
from orchestrator.store.session import Store

CHUNK = 200
MOST_DIGESTS = 200_000
MOST_ALERTS = 5_000
_PAUSE = 5  # alerts, after which others on the event loop have their turn


@dataclass(frozen=True, slots=True)
class Span:
    """Which alerts: those received from `since` until before `until`, of one source or of all; the newest `limit` of them."""

    since: datetime
    until: datetime
    source: str | None = None
    limit: int = MOST_ALERTS


@dataclass(frozen=True, slots=True)
class Tried:
    """What is tried. `draft`: what it is called; `seconds`: how long it may take."""

    plan: Plan
    draft: str
    policy: InForce
    surroundings: Surroundings
    reads: Reads = Reads.RECORDED
    stubs: Mapping[str, Stub] | None = None
    live: Live | None = None
    seconds: float | None = None


async def backtest(store: Store, tried: Tried, span: Span) -> Backtest:
    """Writes nothing, and calls nothing but `live`. Raises Invalid for a playbook that no alert starts, Unavailable after `seconds`."""
    if tried.plan.trigger is None:
        raise Invalid(
            f"{tried.draft}: has no trigger, so that no alert starts it; add one, or try it with `tocsin playbook test`"
        )
    began = time.monotonic()
    keys = Keys(tried.plan, tried.plan.trigger)
    async with store.read() as session:
        found, more = await history.alerts_between(
            session, span.since, span.until, span.source, span.limit
        )
        first = found[0].received_at if more else span.since
        before, _ = await history.alerts_between(
            session, first - keys.memory, first, span.source, MOST_ALERTS
        )
    for alert in before:
        keys.start(alert)
    play = _Play(store, tried, keys)
    await play.open()
    judged: list[Judged] = []
    for start in range(0, len(found), CHUNK):
        async for each in play.chunk(found[start : start + CHUNK]):
            judged.append(each)
            if len(judged) % _PAUSE == 0:
                await asyncio.sleep(0)
            if tried.seconds is not None and time.monotonic() - began > tried.seconds:
                raise Unavailable(
                    f"{len(judged)} alerts took longer than {tried.seconds:g} seconds; try fewer at once, by `limit`"
                )
    same, groups, days = summed(judged)
    return Backtest(
        playbook=tried.plan.playbook,
        draft=tried.draft,
        plan_digest=tried.plan.digest,
        policy=tried.policy.digest,
        since=first,
        until=span.until,
        source=span.source,
        alerts=len(judged),
        more_alerts=more,
        started_then=sum(each.then.started for each in judged),
        started_now=sum(each.now.started for each in judged),
        same=same,
        reads=Reading(**play.recollection.counts),
        groups=groups,
        days=days,
    )


class _Play:
    """One backtest on its way through the alerts."""

    def __init__(self, store: Store, tried: Tried, keys: Keys) -> None:
        self._store = store
        self._tried = tried
        self._keys = keys
        self._inputs = accept(tried.plan.inputs, {})
        self._digest = tried.plan.digest
        self._tasks: dict[str, bool] = {}
        for step, tasks in steps_with_effects(tried.plan):
            self._tasks[step] = (
                self._tasks.get(step, False) or tasks
            )  # a called playbook may have a step of the same name
        self._loaded: set[str] = set()
        self._digests: frozenset[str] | None = (
            None  # those that anything was recorded of; None: not known
        )
        self.recollection = Recollection(
            Past(), tried.reads, tried.stubs or {}, self._fetch, self._joined, tried.live
        )

    async def open(self) -> None:
        """Looks what there is."""
        async with self._store.read() as session:
            self._digests = await history.recorded_digests(session, MOST_DIGESTS)

    async def chunk(self, alerts: Sequence[StoredAlert]) -> Any:
        """Each alert with what was done and what would be done."""
        async with self._store.read() as session:
            done = await history.done_about(
                session, self._tried.plan.playbook, [alert.id for alert in alerts]
            )
            if self.recollection.past.full:
                self.recollection.past = Past()
                self._loaded.clear()
            fresh = {alert.incident_id for alert in alerts} - self._loaded
            self._loaded |= fresh
            self.recollection.past.add(await history.recorded_in(session, sorted(fresh)))
        for alert in alerts:
            now, errors = await self._now(alert)
            about = About(
                alert_id=alert.id, title=alert.title, received_at=alert.received_at.isoformat()
            )
            yield Judged(about, alert.received_at, outcome_of(done.get(alert.id)), now, errors)

    async def _now(self, alert: StoredAlert) -> tuple[Outcome, dict[str, str]]:
        match self._keys.start(alert):
            case Start.NO:
                return NOT_STARTED, {}
            case Start.LIMITED:
                why = f"it waits for people first: its limit of {self._tried.plan.limits.runs_per_hour} runs per hour is used up"
                return Outcome(started=True, status="waiting", failed=("the run",)), {
                    "the run": why
                }
        stage = staged(self._tried, alert, self.recollection, self._inputs, self._digest)
        status: str | None = None
        try:
            status = (await Telling(HistoryWorld(stage), stage).whole()).status.value
        except CannotTell as why:
            stage.unknown[""] = str(why)
        return self._told(stage, status)

    def _told(self, stage: HistoryStage, status: str | None) -> tuple[Outcome, dict[str, str]]:
        failed = {
            f"step {path}": stage.errors.get(path, "")
            for path, state in stage.states.items()
            if state is StepState.FAILED
        }
        unknown = [
            f"step {path}: {why}" if path else why
            for path, why in stage.unknown.items()
            if self._may_matter(path)
        ]
        outcome = Outcome(
            started=True,
            status="unknown" if stage.unknown else status,
            contained=_once(stage.contained),
            asked=_once(stage.would_ask),
            denied=_once(stage.denied),
            failed=_once(failed),
            unknown=_once(unknown),
        )
        return outcome, failed

    def _may_matter(self, path: str) -> bool:
        """Whether a step that is unknown could have contained something, or asked somebody; a message could not."""
        return not path or self._tasks.get(path.rpartition("/")[2].partition("[")[0], True)

    async def _fetch(self, digest: str, at: datetime) -> Sequence[history.Recorded]:
        if self._digests is not None and digest not in self._digests:
            return ()
        async with self._store.read() as session:
            return await history.recorded_of(session, digest, at)

    async def _joined(self, incident_id: str) -> Sequence[StoredAlert]:
        async with self._store.read() as session:
            return await history.of_incident(session, incident_id)


def staged(
    tried: Tried,
    alert: StoredAlert,
    recollection: Recollection,
    inputs: dict[str, Any],
    plan_digest: str,
) -> HistoryStage:
    """The stage on which an alert is played."""
    plan = tried.plan
    run = RunContext(
        run_id=f"run_backtest_{alert.id}", attempt=1, playbook=plan.playbook, version=plan.version, plan_digest=plan_digest,
        mode=Mode.LIVE, source=alert.source, severity=alert.severity, started_by=f"source:{alert.source}", incident_id=alert.incident_id,
    )  # fmt: skip
    given = RunInput(
        run=run, plan=plan, alert=alert.view, inputs=inputs, started_at=alert.received_at
    )
    return HistoryStage(
        given=given, stubs={}, answers=(), policy=tried.policy, inventory=Inventory(), alert=alert, recollection=recollection,
        surroundings=tried.surroundings,
    )  # fmt: skip


def steps_with_effects(plan: Plan) -> Iterator[tuple[str, bool]]:
    """By step id, whether something could be contained, or somebody asked, in it."""

    def walk(node: Any) -> Iterator[Any]:
        if isinstance(node, dict):
            yield node
            node = list(node.values())
        if isinstance(node, list | tuple):
            for each in node:
                yield from walk(each)

    weighty = {effect.value for effect in COUNTED}
    for step in walk(plan.model_dump(mode="json")):
        if "kind" in step and "id" in step:
            inside = list(walk(step))
            changes = any(
                each.get("kind") == Use.model_fields["kind"].default
                and each.get("effect") in weighty
                for each in inside
            )
            yield (
                step["id"],
                changes
                or any(
                    each.get("approve") or each.get("kind") == Ask.model_fields["kind"].default
                    for each in inside
                ),
            )


def _once(names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
