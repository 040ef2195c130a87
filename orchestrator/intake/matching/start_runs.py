"""Runs that alerts start, in the transaction that commits the alerts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.trail import event
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.run import SHADOW, Mode, RunStatus
from orchestrator.intake.matching.triggers import Match
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import alerts, approvals, runs
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver
from orchestrator.store.tables import AlertRow, RunRow


class Covered(NamedTuple):
    """A match that starts no run, as an earlier run has its key."""

    match: Match
    run_id: str
    until: datetime


@dataclass
class Started:
    """The runs to insert and their audit events."""

    runs: list[RunRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    covered: list[Covered] = field(default_factory=list)
    holders: dict[tuple[str, str], str] = field(default_factory=dict)
    """The run that holds a playbook's key, for the keys claimed in this transaction."""
    begun: Counter[str] = field(default_factory=Counter)
    """How many live runs of this transaction begin, by source."""
    open_before: dict[tuple[str, int], int] = field(default_factory=dict)
    """How many runs of a source, at least so severe, were open before this transaction."""

    def count_live(self, playbook: str) -> int:
        """Return the number of live runs to insert, without those beyond the limit."""
        return sum(
            run.playbook == playbook
            and run.mode == Mode.LIVE
            and run.over_limit is None
            and run.status is not RunStatus.DEFERRED
            for run in self.runs
        )


async def start(
    session: AsyncSession,
    driver: Driver,
    matches: Sequence[Match],
    now: datetime,
    *,
    dry_sources: Collection[str] = (),
    most_open: int = 0,
) -> Started:
    """Return a run for each match that no earlier run covers, and one for each shadow.

    `driver`: of the session. `dry_sources`: all runs of these are dry. `most_open`: how many runs
    of one source may be open; 0: any number. Beyond it, runs are deferred. Bodies that other
    processes accept at the same moment may exceed it by a few.
    """
    await lock(session, Lock.RUN, [name for match in matches for name in _lock_names(match)])
    started = Started()
    # The live ones first, and of those the most severe alert, which then covers the others.
    for match in sorted(matches, key=lambda each: (each.candidate.shadow, -each.alert.severity)):
        if match.alert.source in dry_sources or match.candidate.shadow:
            await _start_dry(driver, match, started, now)
        else:
            await _start(session, driver, match, started, now, most_open)
    return started


async def _start_dry(driver: Driver, match: Match, started: Started, now: datetime) -> None:
    """Start a dry run.

    It has keys of its own and is not counted, so that it neither covers nor stops a live run.
    """
    playbook, shadow = match.candidate.plan.playbook, match.candidate.shadow
    live = next(
        (
            run.id
            for run in started.runs
            if (run.playbook, run.alert_id, run.mode) == (playbook, match.alert.id, Mode.LIVE)
        ),
        None,
    )
    run = _run(match, now)
    run.mode, run.shadow_of = Mode.DRY_RUN, live
    run.started_by = SHADOW if shadow else run.started_by
    within = timedelta(seconds=match.candidate.trigger.within)
    key = (_dry_key_owner(match), match.key)
    data = {
        "playbook": playbook,
        "version": run.version,
        "alert_id": match.alert.id,
        "once_per": match.key,
    }
    data |= {"mode": Mode.DRY_RUN, "shadow": shadow, "shadow_of": live}
    holder = started.holders.get(key) or await _claim(driver, *key, run.id, now, within)
    started.holders[key] = holder
    kind = EventKind.RUN_CREATED if holder == run.id else EventKind.RUN_SUPPRESSED
    started.events.append(event(kind, actor="system", subject=holder, data=data, now=now))
    if holder == run.id:
        started.runs.append(run)
    elif not shadow:
        since = await _claimed_at(driver, *key) or now
        started.covered.append(Covered(match, holder, since + within))


async def _start(
    session: AsyncSession,
    driver: Driver,
    match: Match,
    started: Started,
    now: datetime,
    most_open: int,
) -> None:
    plan, trigger, key = match.candidate.plan, match.candidate.trigger, match.key
    within, limit = timedelta(seconds=trigger.within), plan.limits.runs_per_hour
    data: dict[str, Any] = {
        "playbook": plan.playbook,
        "version": plan.version,
        "alert_id": match.alert.id,
        "once_per": key,
    }
    data |= {"once_per_failed": match.error} if match.error else {}

    def record(kind: EventKind, subject: str, **more: Any) -> None:
        started.events.append(
            event(kind, actor="system", subject=subject, data={**data, **more}, now=now)
        )

    async def suppress(holder: str) -> None:
        record(EventKind.RUN_SUPPRESSED, holder)
        since = await _claimed_at(driver, plan.playbook, key) or now
        started.covered.append(Covered(match, holder, since + within))

    if (before := started.holders.get((plan.playbook, key))) is not None:
        await suppress(before)
        return
    earlier = await _holding_run(session, driver, plan.playbook, key, now - within)
    if earlier is not None and not is_covered(match.alert, earlier):
        await alerts.free(session, earlier.id)
        data["not_covered_by"], earlier = earlier.id, None
    if earlier is not None and match.alert.severity > earlier.severity:
        raised = {"from": earlier.severity, "to": match.alert.severity}
        await approvals.remind_now(session, earlier.id, now)
        earlier.raise_severity(match.alert)
        record(EventKind.RUN_RAISED, earlier.id, **raised)
    exceeded: int | None = None
    if limit is not None and earlier is None:
        counted = await alerts.runs_since(
            session, plan.playbook, now - timedelta(hours=1)
        ) + started.count_live(plan.playbook)
        exceeded = limit if counted >= limit else None
    run = _run(match, now, exceeded)
    holder = started.holders[plan.playbook, key] = await _claim(
        driver, plan.playbook, key, run.id, now, within
    )
    if holder != run.id:
        await suppress(holder)
        return
    started.runs.append(run)
    record(EventKind.RUN_CREATED, run.id)
    if exceeded is not None:
        record(EventKind.RUN_LIMITED, run.id, limit=exceeded)
    if most_open and await _count_open(session, match.alert, started, now) >= most_open:
        why = f"{most_open} runs of source {match.alert.source} are open"
        run.defer(f"{why}; it begins once one of them has ended")
        record(EventKind.RUN_DEFERRED, run.id, limit=most_open, source=match.alert.source)
    else:
        started.begun[match.alert.source] += 1


async def _count_open(
    session: AsyncSession, alert: AlertRow, started: Started, now: datetime
) -> int:
    """Return how many runs of the alert's source are open. Less severe ones never count.

    Many tame alerts must not use up the place of a severe one. The matches of a body come by
    severity, so that what began in this transaction is at least as severe.
    """
    key = (alert.source, alert.severity)
    if key not in started.open_before:
        started.open_before[key] = await alerts.open_runs_of(session, *key, now)
    return started.open_before[key] + started.begun[alert.source]


async def _claim(
    driver: Driver, playbook: str, key: str, run_id: str, now: datetime, within: timedelta
) -> str:
    """Claim a key atomically. Return its run: `run_id`, or an earlier one within `within`."""
    taken = await statements.CLAIM_KEY.rows(
        driver,
        {
            "playbook": playbook,
            "once_key": key,
            "run_id": run_id,
            "at": now,
            "before": now - within,
        },
    )
    found = taken or await statements.KEY_HOLDER.rows(
        driver, {"playbook_name": playbook, "key": key}
    )
    return str(found[0][0]) if found else run_id


async def _claimed_at(driver: Driver, playbook: str, key: str) -> datetime | None:
    """Return when the newest run with this key claimed it."""
    found = await statements.KEY_HOLDER.rows(driver, {"playbook_name": playbook, "key": key})
    at: datetime | None = found[0][1] if found else None
    return at


async def _holding_run(
    session: AsyncSession, driver: Driver, playbook: str, key: str, since: datetime
) -> RunRow | None:
    """Return the run that claimed this key since a moment, if any."""
    found = await statements.KEY_HOLDER.rows(driver, {"playbook_name": playbook, "key": key})
    return await runs.get(session, found[0][0]) if found and found[0][1] >= since else None


def is_covered(alert: AlertRow, run: RunRow) -> bool:
    """Return whether the run that holds an alert's key stands for the one that it would start.

    An open run does: its people see the more severe alert. One that has ended or is deferred mutes
    no alert that is more severe, and, unless it completed, none of another source.
    """
    if run.status.open:
        return True
    completed = run.status is RunStatus.COMPLETED
    return alert.severity <= run.severity and (completed or alert.source == run.source)


def _run(match: Match, now: datetime, exceeded: int | None = None) -> RunRow:
    """Return the row of a live run.

    `exceeded`: the limit that it goes beyond, so that people are asked first.
    """
    return RunRow.begin(
        id=new_id("run"),
        playbook=match.candidate.plan.playbook,
        version=match.candidate.plan.version,
        plan_digest=match.candidate.digest,
        alert=match.alert,
        once_key=match.key,
        started_by=f"source:{match.alert.source}",
        over_limit=exceeded,
        now=now,
    )


def live_names(matches: Sequence[Match]) -> list[str]:
    """Return the playbooks that match, without shadows."""
    return [match.candidate.plan.playbook for match in matches if not match.candidate.shadow]


def _dry_key_owner(match: Match) -> str:
    """Return the name under which dry runs claim keys.

    It contains a space, which no playbook's name does.
    """
    return f"{match.candidate.plan.playbook} {SHADOW if match.candidate.shadow else Mode.DRY_RUN}"


def _lock_names(match: Match) -> list[str]:
    playbook = match.candidate.plan.playbook
    dry = f"{_dry_key_owner(match)}\n{match.key}"
    if match.candidate.shadow:
        return [dry]
    return [
        dry,
        f"{playbook}\n{match.key}",
        *([playbook] if match.candidate.plan.limits.runs_per_hour is not None else []),
    ]
