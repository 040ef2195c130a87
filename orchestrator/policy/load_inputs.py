"""Loading of the inputs of an evaluation, in the transaction that records the intent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.assets.facts import AssetFacts, lookup_asset_facts
from orchestrator.assets.match import TYPES_WITH_ALIASES
from orchestrator.domain.change import Change
from orchestrator.domain.digest import canonical
from orchestrator.domain.errors import Halted
from orchestrator.domain.observable import ObservableType
from orchestrator.domain.run import Mode
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Policy
from orchestrator.policy.evaluate import (
    GUARDED,
    LIFTING,
    ChangeContext,
    ChangeFacts,
    EngagedSwitch,
    OwnInfrastructure,
    PolicyInForce,
)
from orchestrator.policy.inputs import LOOKUPS
from orchestrator.policy.limits import limit_usage
from orchestrator.policy.stops import circuit_breaker
from orchestrator.policy.stops.self_protection import OWN_FOR
from orchestrator.store import standing
from orchestrator.store.queries import policy_inputs, runs, steps

_MOST_LIMITS = 1000
_limits: dict[str, Limits] = {}  # by the plan's digest, which covers them
_MOST_POLICIES = 8
_policies: dict[str, tuple[Policy, str]] = {}  # by the row's tag, which covers the document


class RunLike(Protocol):
    """The fields of a run that an evaluation needs."""

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


async def load_policy(session: AsyncSession) -> PolicyInForce:
    """Return the newest policy, or the built-in defaults as version 0 if none is published."""
    row = await standing.newest_policy(session)
    if row is None:
        policy = Policy()
        return PolicyInForce(0, policy.digest, policy)
    if row.mac not in _policies:
        if len(_policies) >= _MOST_POLICIES:
            _policies.clear()
        _policies[row.mac] = _parsed(canonical(row.document))
    policy, digest = _policies[row.mac]
    if digest != row.digest:
        raise Halted(
            f"policy version {row.version} is not the one that its digest names, so that nothing "
            "is changed; publish the policy again"
        )
    return PolicyInForce(row.version, row.digest, policy)


async def load_policies_since(session: AsyncSession, since: datetime) -> list[Policy]:
    """Return every policy that was in force at a time or after it."""
    rows = await policy_inputs.list_policies_since(session, since)
    found = [_parsed(canonical(row.document))[0] for row in rows]
    return found if any(row.published_at <= since for row in rows) else [Policy(), *found]


async def load_context(session: AsyncSession, run: RunLike, now: datetime) -> ChangeContext:
    """Return the context of a run's changes. A playbook that is not stored has no limits."""
    if run.plan_digest not in _limits:
        row = await policy_inputs.get_playbook(session, run.playbook, run.version)
        if len(_limits) >= _MOST_LIMITS:
            _limits.clear()
        found = row is not None and row.digest == run.plan_digest
        _limits[run.plan_digest] = (
            Limits.model_validate(row.plan.get("limits", {})) if row and found else Limits()
        )
    return ChangeContext(
        playbook=run.playbook,
        mode=run.mode,
        limits=_limits[run.plan_digest],
        source=run.source,
        severity=run.severity,
        at=now,
    )


async def load_facts(
    session: AsyncSession,
    change: Change,
    run_id: str | None,
    now: datetime,
    context: ChangeContext,
    in_force: PolicyInForce,
) -> ChangeFacts:
    """Return the facts about a change, without counting it. `run_id` None: no run makes it."""
    switches = tuple(
        EngagedSwitch(
            scope=row.scope, name=row.name, reason=row.reason, stop_releases=row.stop_releases
        )
        for row in await standing.kill_switches(session)
    )
    guarded = change.effect in GUARDED
    names, sure = (
        await _names(session, change, run_id) if guarded else (frozenset[str](), frozenset[str]())
    )
    said = (
        await lookup_asset_facts(session, change.target, names, sure)
        if change.effect.changes
        else AssetFacts()
    )
    return ChangeFacts(
        names=tuple(sorted({*names, *said.names} if guarded else names)),
        tags=said.tags,
        sure_tags=said.sure_tags,
        critical=said.critical,
        known=said.known,
        internal=said.internal,
        held_by_others=any(holder.run != run_id for holder in change.holders),
        approved_by=await _approvers(session, change, run_id),
        switches=switches,
        own=await _own(session, now) if guarded else (),
        used=tuple(
            await limit_usage(session, change, run_id, now, context, in_force.policy.limits)
        ),
        breaker=await circuit_breaker.trip_reason(session, context.source),
    )


async def release_stop_reason(
    session: AsyncSession, *, connection: str, connector: str, playbook: str, source: str | None
) -> str | None:
    """Return why a release must wait: a kill switch that stops releases. None: it may proceed."""
    named: dict[str, set[str | None]] = {
        "connection": {connection, connector},
        "connector": {connection, connector},
        "playbook": {playbook},
        "source": {source},
    }
    for row in await standing.kill_switches(session):
        if row.stop_releases and (
            row.scope not in named or row.name in named[row.scope]
        ):  # global, or a scope of a later version
            where = "everything" if row.scope == "global" else f"{row.scope} {row.name}"
            return f"the kill switch for {where} stops releases too: {row.reason}"
    return None


@lru_cache(maxsize=8)
def _parsed(document: bytes) -> tuple[Policy, str]:
    policy = Policy.model_validate_json(document)
    return policy, policy.digest


async def _approvers(session: AsyncSession, change: Change, run_id: str | None) -> tuple[str, ...]:
    """Return the groups that approved what other runs hold, and a release or restore lifts."""
    if change.effect not in LIFTING:
        return ()
    held = [(holder.containment, holder.run) for holder in change.holders if holder.run != run_id]
    return tuple(sorted(await policy_inputs.list_approving_groups(session, held)))


async def _own(session: AsyncSession, now: datetime) -> tuple[OwnInfrastructure, ...]:
    return tuple(
        _one_own(*row) for row in sorted(await policy_inputs.list_own(session, now - OWN_FOR))
    )


@lru_cache(maxsize=1024)
def _one_own(kind: str, value: str, why: str) -> OwnInfrastructure:
    return OwnInfrastructure(type=ObservableType(kind), value=value, why=why)


async def _names(
    session: AsyncSession, change: Change, run_id: str | None
) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """Return the other names of a change's target, and those of them that no alert can forge."""
    if run_id is None or change.target.type not in TYPES_WITH_ALIASES:
        return target_names(change, None, ())
    alert = await runs.get_alert(session, run_id)
    return target_names(
        change, alert.view if alert else None, await steps.results_of(session, run_id, LOOKUPS)
    )


def target_names(
    change: Change, alert: Mapping[str, Any] | None, looked_up: Iterable[Any]
) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """Return the names of a target, and those of them that no alert can forge.

    `looked_up`: results of LOOKUPS.
    """
    if change.target.type not in TYPES_WITH_ALIASES:
        return frozenset(), frozenset()
    sure = {change.target.value, *_texts(change.planned_change, but={"target", "summary", "note"})}
    known = {*sure, *_texts(change.input)}
    parts = [alert.get("host"), alert.get("user"), alert.get("local")] if alert else []
    records = [set(_texts(part)) for part in looked_up if isinstance(part, Mapping)]
    found = [set(_texts(part)) for part in parts if isinstance(part, Mapping)]
    return _joined(known, [*found, *records]), _joined(sure, records)


def _joined(names: set[str], records: list[set[str]]) -> set[str]:
    """Return names with those of each record that has one of them, transitively."""
    for _ in records:
        names = names.union(*(record for record in records if record & names))
    return names


def _texts(record: Mapping[str, Any], but: Iterable[str] = ()) -> Iterator[str]:
    """Yield the texts of a record that may be names, in lower case."""
    skipped = {*but, "kind", "platform", "status", "isolation", "last_seen", "tags", "wanted"}
    for key, value in record.items():
        if key not in skipped and isinstance(value, str) and 0 < len(value) <= 255:
            yield value.strip().rstrip(".").lower()
