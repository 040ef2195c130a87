"""Which playbooks does an alert start? As rows in the transaction that commits the alert; every decision stands in the trail."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.trail import event
from orchestrator.domain.audit_event import Event, EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.run import SHADOW, Mode, RunStatus
from orchestrator.playbook.language.evaluate import ExpressionError, condition, evaluate_text
from orchestrator.playbook.plan import Plan, Trigger
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import alerts, runs
from orchestrator.store.tables import AlertRow, RunRow

MAX_PLANS = 1024
"""Compiled plans that are kept parsed."""
_LONGEST_KEY = 200  # characters; an index entry has to hold it
_plans: dict[tuple[str, int, str], Plan] = {}


class Candidate(NamedTuple):
    """A playbook that an alert may start."""

    plan: Plan
    trigger: Trigger
    digest: str
    shadow: bool = False  # it only runs dry, beside the live version


class Match(NamedTuple):
    """A playbook that an alert does start, under this key. `trouble`: why the key is not what `once_per` says."""

    candidate: Candidate
    alert: AlertRow
    key: str
    trouble: str | None


@dataclass
class Started:
    """The runs to insert, and what the trail says of them. Of one that goes beyond its playbook's limit, people are asked first.

    `holders`: which run has a playbook's key, as far as this transaction has asked.
    """

    runs: list[RunRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    holders: dict[tuple[str, str], str] = field(default_factory=dict)

    def made(self, playbook: str) -> int:
        """How many runs of the playbook there are to insert."""
        return sum(
            run.playbook == playbook and run.mode == Mode.LIVE and run.over_limit is None
            for run in self.runs
        )


async def candidates(session: AsyncSession) -> list[Candidate]:
    """The newest version of every playbook that has a trigger and is not retired, and the newest that runs as its shadow."""
    found = []
    for name, version, digest, stage in await alerts.newest_triggers(session):
        plan = _plans.get((name, version, digest)) or await _load(session, name, version, digest)
        if plan.trigger is not None:
            found.append(Candidate(plan, plan.trigger, digest, shadow=stage != "live"))
    return found


def matches(those: Sequence[Candidate], alert: AlertRow) -> tuple[list[Match], dict[str, str]]:
    """Those whose trigger fits the alert; and, by playbook, why a trigger could not be evaluated: that is no match."""
    found: list[Match] = []
    troubles: dict[str, str] = {}
    for each in those:
        try:
            fits = condition(each.trigger.when, {"alert": alert.view})
        except ExpressionError as error:
            troubles[f"{each.plan.playbook}{' (shadow)' if each.shadow else ''}"] = str(error)[:200]
            continue
        if fits:
            found.append(Match(each, alert, *once_key(each.trigger, alert.id, alert.view)))
    return found, troubles


async def start(
    session: AsyncSession, found: Sequence[Match], now: datetime, *, dry: bool = False
) -> Started:
    """A run for each match that no earlier run covers; beside it, one of the shadow. `dry`: none may change anything."""
    await lock(session, Lock.RUN, [name for match in found for name in _names(match)])
    started = Started()
    for match in sorted(found, key=lambda match: match.candidate.shadow):  # the live ones first
        if dry or match.candidate.shadow:
            await _start_dry(session, match, started, now)
        else:
            await _start(session, match, started, now)
    return started


async def _start_dry(session: AsyncSession, match: Match, started: Started, now: datetime) -> None:
    """Under keys of its own, and counted nowhere: a dry run neither covers nor stops a live one."""
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
    run.mode, run.shadow_of = Mode.DRY_RUN.value, live
    run.started_by = SHADOW if shadow else run.started_by
    within = timedelta(seconds=match.candidate.trigger.within)
    key = (_dry_name(match), match.key)
    told = {
        "playbook": playbook,
        "version": run.version,
        "alert_id": match.alert.id,
        "once_per": match.key,
    }
    told |= {"mode": Mode.DRY_RUN, "shadow": shadow, "shadow_of": live}
    holder = started.holders.get(key) or await alerts.claim(session, *key, run.id, now, within)
    started.holders[key] = holder
    kind = EventKind.RUN_CREATED if holder == run.id else EventKind.RUN_SUPPRESSED
    started.events.append(event(kind, actor="system", subject=holder, data=told, now=now))
    if holder == run.id:
        started.runs.append(run)


async def _start(session: AsyncSession, match: Match, started: Started, now: datetime) -> None:
    plan, trigger, key = match.candidate.plan, match.candidate.trigger, match.key
    within, limit = timedelta(seconds=trigger.within), plan.limits.runs_per_hour
    told: dict[str, Any] = {
        "playbook": plan.playbook,
        "version": plan.version,
        "alert_id": match.alert.id,
        "once_per": key,
    }
    told |= {"once_per_failed": match.trouble} if match.trouble else {}

    def note(kind: EventKind, subject: str, **more: Any) -> None:
        started.events.append(
            event(kind, actor="system", subject=subject, data={**told, **more}, now=now)
        )

    if (before := started.holders.get((plan.playbook, key))) is not None:
        note(EventKind.RUN_SUPPRESSED, before)
        return
    over: int | None = None
    if limit is not None and await alerts.holder(session, plan.playbook, key, now - within) is None:
        counted = await alerts.runs_since(
            session, plan.playbook, now - timedelta(hours=1)
        ) + started.made(plan.playbook)
        over = limit if counted >= limit else None
    run = _run(match, now, over)
    holder = started.holders[plan.playbook, key] = await alerts.claim(
        session, plan.playbook, key, run.id, now, within
    )
    if holder != run.id:
        note(EventKind.RUN_SUPPRESSED, holder)
        return
    started.runs.append(run)
    note(EventKind.RUN_CREATED, run.id)
    if over is not None:
        note(EventKind.RUN_LIMITED, run.id, limit=over)


def _run(match: Match, now: datetime, over: int | None = None) -> RunRow:
    """`over`: the limit that it goes beyond."""
    return RunRow(
        id=new_id("run"),
        playbook=match.candidate.plan.playbook,
        version=match.candidate.plan.version,
        plan_digest=match.candidate.digest,
        incident_id=match.alert.incident_id,
        alert_id=match.alert.id,
        source=match.alert.source,
        severity=match.alert.severity,
        status=RunStatus.RUNNING.value,
        mode=Mode.LIVE.value,
        once_key=match.key,
        started_by=f"source:{match.alert.source}",
        over_limit=over,
        created_at=now,
    )


def once_key(trigger: Trigger, alert_id: str, alert: dict[str, Any]) -> tuple[str, str | None]:
    """The key under which an alert starts one run, and why it is not what `once_per` says, if so.

    Where `once_per` fails on this alert, the alert itself is the key: rather a run too many than one that never was.
    """
    try:
        key = evaluate_text(trigger.once_per, {"alert": alert})
    except ExpressionError as error:
        return alert_id, str(error)[:200]
    return (
        key if len(key) <= _LONGEST_KEY else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    ), None


def _dry_name(match: Match) -> str:
    """Under what a dry run keeps its keys; no playbook's name has a space."""
    return f"{match.candidate.plan.playbook} {SHADOW if match.candidate.shadow else Mode.DRY_RUN}"


def _names(match: Match) -> list[str]:
    playbook = match.candidate.plan.playbook
    dry = f"{_dry_name(match)}\n{match.key}"
    if match.candidate.shadow:
        return [dry]
    return [
        dry,
        f"{playbook}\n{match.key}",
        *([playbook] if match.candidate.plan.limits.runs_per_hour is not None else []),
    ]


async def _load(session: AsyncSession, name: str, version: int, digest: str) -> Plan:
    row = await runs.playbook(session, name, version)
    assert row is not None  # noqa: S101 - it was listed in this transaction, and versions are never deleted
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    plan = _plans[name, version, digest] = Plan.model_validate(row.plan)
    return plan
