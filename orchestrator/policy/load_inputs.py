"""What is the state of the moment that a change is judged by? Read from the store, in the transaction that records the intent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.facts import NAMED, Said, said_of
from orchestrator.domain.change import Change
from orchestrator.domain.digest import canonical
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.run import Mode
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import GUARDED, Context, Facts, InForce, Own, Switch
from orchestrator.policy.limits import used
from orchestrator.policy.stops import circuit_breaker
from orchestrator.policy.stops.self_protection import OWN_FOR
from orchestrator.store.queries import policy_inputs, runs, steps

LOOKUPS = ("find_host", "find_user")
"""Actions whose results say what else a host or user is called."""
_MOST_LIMITS = 1000
_limits: dict[str, Limits] = {}  # by the plan's digest, of which they are a part: they never change


class RunLike(Protocol):
    """What is asked of a run."""

    @property
    def playbook(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def plan_digest(self) -> str: ...
    @property
    def mode(self) -> Mode: ...
    @property
    def source(self) -> str | None: ...
    @property
    def severity(self) -> int: ...


async def policy_in_force(session: AsyncSession) -> InForce:
    """The newest policy; before there is one, the built-in defaults, as version 0."""
    row = await policy_inputs.newest_policy(session)
    if row is None:
        policy = Policy()
        return InForce(0, policy.digest, policy)
    return InForce(row.version, row.digest, _parsed(canonical(row.document)))


async def context_of(session: AsyncSession, run: RunLike, now: datetime) -> Context:
    """On whose behalf a run's changes are made. A playbook that is not in the store has no limits of its own, only the policy's."""
    if run.plan_digest not in _limits:
        row = await policy_inputs.playbook_of(session, run.playbook, run.version)
        if len(_limits) >= _MOST_LIMITS:
            _limits.clear()
        found = row is not None and row.digest == run.plan_digest
        _limits[run.plan_digest] = (
            Limits.model_validate(row.plan.get("limits", {})) if row and found else Limits()
        )
    return Context(
        playbook=run.playbook,
        mode=run.mode,
        limits=_limits[run.plan_digest],
        source=run.source,
        severity=run.severity,
        at=now,
    )


async def gather(
    session: AsyncSession,
    change: Change,
    run_id: str | None,
    now: datetime,
    context: Context,
    in_force: InForce,
) -> Facts:
    """All that the verdict of a change depends on, counts without the change itself. `run_id` None: no run's, as in a what-if."""
    switches = tuple(
        Switch(scope=row.scope, name=row.name, reason=row.reason, stop_releases=row.stop_releases)
        for row in await policy_inputs.switches(session)
    )
    guarded = change.effect in GUARDED
    names, sure = (
        await _names(session, change, run_id) if guarded else (frozenset[str](), frozenset[str]())
    )
    said = await said_of(session, change.target, names, sure) if change.effect.changes else Said()
    return Facts(
        names=tuple(sorted(names)),
        tags=said.tags,
        sure_tags=said.sure_tags,
        critical=said.critical,
        known=said.known,
        switches=switches,
        own=await _own(session, now) if guarded else (),
        used=tuple(await used(session, change, run_id, now, context, in_force.policy.limits)),
        breaker=await circuit_breaker.tripped(session, context.source),
    )


async def releases_stopped(
    session: AsyncSession, *, connection: str, connector: str, playbook: str, source: str | None
) -> str | None:
    """Why nothing of this is released now: a kill switch was told to stop releases too. None: releases go on."""
    named: dict[str, set[str | None]] = {
        "connection": {connection, connector},
        "connector": {connection, connector},
        "playbook": {playbook},
        "source": {source},
    }
    for row in await policy_inputs.switches(session):
        if row.stop_releases and (
            row.scope not in named or row.name in named[row.scope]
        ):  # global, or one that only a later version knows
            where = "everything" if row.scope == "global" else f"{row.scope} {row.name}"
            return f"the kill switch for {where} stops releases too: {row.reason}"
    return None


@lru_cache(maxsize=8)
def _parsed(document: bytes) -> Policy:
    return Policy.model_validate_json(document)


async def _own(session: AsyncSession, now: datetime) -> tuple[Own, ...]:
    return tuple(_one_own(*row) for row in sorted(await policy_inputs.own(session, now - OWN_FOR)))


@lru_cache(maxsize=1024)
def _one_own(kind: str, value: str, why: str) -> Own:
    return Own(type=ObservableType(kind), value=value, why=why)


async def _names(
    session: AsyncSession, change: Change, run_id: str | None
) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """What else the target is known as, by planned_change, look-ups and alert; and those of them that no alert can have made up."""
    if run_id is None or change.target.type not in NAMED:
        return names_of(change, None, ())
    alert = await runs.alert_of(session, run_id)
    return names_of(
        change, alert.view if alert else None, await steps.results_of(session, run_id, LOOKUPS)
    )


def names_of(
    change: Change, alert: Mapping[str, Any] | None, looked_up: Iterable[Any]
) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """What else a target is known as, and those of its names that no alert can have made up; `looked_up`: results of LOOKUPS."""
    if change.target.type not in NAMED:
        return frozenset(), frozenset()
    sure = {change.target.value, *_texts(change.planned_change, but={"target", "summary", "note"})}
    known = {*sure, *_texts(change.input)}
    parts = [alert.get("host"), alert.get("user"), alert.get("local")] if alert else []
    records = [set(_texts(part)) for part in looked_up if isinstance(part, Mapping)]
    found = [set(_texts(part)) for part in parts if isinstance(part, Mapping)]
    return _joined(known, [*found, *records]), _joined(sure, records)


def _joined(names: set[str], records: list[set[str]]) -> set[str]:
    """Names with those of each record that has one of them; a name may lead to a record, and that to another."""
    for _ in records:
        names = names.union(*(record for record in records if record & names))
    return names


def _texts(record: Mapping[str, Any], but: Iterable[str] = ()) -> Iterator[str]:
    """The texts of a record that may be names, in lower case."""
    skipped = {*but, "kind", "platform", "status", "isolation", "last_seen", "tags", "wanted"}
    for key, value in record.items():
        if key not in skipped and isinstance(value, str) and 0 < len(value) <= 255:
            yield value.strip().rstrip(".").lower()
