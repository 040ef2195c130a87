"""What is the state of the moment that a change is judged by? Read from the store, in the transaction that records the intent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.digest import canonical
from orchestrator.domain.observable import CANONICAL, ObservableType, Target
from orchestrator.domain.receipt import Change
from orchestrator.domain.run import Mode
from orchestrator.playbook.plan import Limits
from orchestrator.policy.document import Policy
from orchestrator.policy.judge import COUNTED, GUARDED, Context, Facts, InForce, Switch
from orchestrator.store import effects, facts, runs, steps

HOUR = timedelta(hours=1)
_NAMED = {ObservableType.HOST, ObservableType.ADDRESS, ObservableType.USER, ObservableType.EMAIL}
_LOOKUPS = ("find_host", "find_user")
_CRITICAL_KINDS = {"domain_controller"}
_MOST_LIMITS = 1000
_limits: dict[str, Limits] = {}  # by the plan's digest, of which they are a part: they never change
_COUNTED = sorted(effect.value for effect in COUNTED)


async def policy_in_force(session: AsyncSession) -> InForce:
    """The newest policy; before there is one, the built-in defaults, as version 0."""
    row = await facts.newest_policy(session)
    if row is None:
        policy = Policy()
        return InForce(0, policy.digest, policy)
    return InForce(row.version, row.digest, _parsed(canonical(row.document)))


async def context_of(session: AsyncSession, playbook: str, version: int, plan_digest: str, mode: Mode) -> Context:
    """On whose behalf a run's changes are made. A playbook that is not in the store has no limits of its own, only the policy's."""
    if plan_digest not in _limits:
        row = await facts.playbook_of(session, playbook, version)
        if len(_limits) >= _MOST_LIMITS:
            _limits.clear()
        _limits[plan_digest] = Limits.model_validate(row.plan.get("limits", {})) if row and row.digest == plan_digest else Limits()
    return Context(playbook=playbook, mode=mode, limits=_limits[plan_digest])


async def gather(session: AsyncSession, change: Change, run_id: str, now: datetime) -> Facts:
    """All that the judgement of a change depends on, counts without the change itself."""
    switches = tuple(Switch(scope=row.scope, name=row.name, reason=row.reason) for row in await facts.switches(session))
    names = await _names(session, change, run_id) if change.effect in GUARDED else ()
    critical = await _critical(session, change.target, names) if change.effect.changes else False
    in_run: int | None = 0
    in_hour: int | None = 0
    if change.effect in COUNTED and change.changed:
        target = (change.target.type.value, change.target.value)
        in_run = await effects.touched_in_run(session, run_id, target, _COUNTED)
        in_hour = await effects.touched_since(session, now - HOUR, target, _COUNTED)
    return Facts(names=names, critical=critical, switches=switches, others_in_run=in_run, others_in_hour=in_hour)


@lru_cache(maxsize=8)
def _parsed(document: bytes) -> Policy:
    return Policy.model_validate_json(document)


async def _names(session: AsyncSession, change: Change, run_id: str) -> tuple[str, ...]:
    """What else the target is known as: by the receipt, by the alert, by what the run looked up. More names only protect more."""
    if change.target.type not in _NAMED:
        return ()
    known = {change.target.value, *_texts(change.receipt, but={"target", "summary", "note"}), *_texts(change.input)}
    alert = await runs.alert_of(session, run_id)
    parts = [alert.view.get("host"), alert.view.get("user"), alert.view.get("local")] if alert else []
    looked_up = await steps.results_of(session, run_id, _LOOKUPS)
    found = [set(_texts(part)) for part in [*parts, *looked_up] if isinstance(part, Mapping)]
    for _ in found:  # a name may lead to a record, and that to another
        known.update(*(record for record in found if record & known))
    return tuple(sorted(known))


def _texts(record: Mapping[str, Any], but: Iterable[str] = ()) -> Iterator[str]:
    """The texts of a record that may be names, in lower case."""
    skipped = {*but, "kind", "platform", "status", "isolation", "last_seen", "tags", "wanted"}
    for key, value in record.items():
        if key not in skipped and isinstance(value, str) and 0 < len(value) <= 255:
            yield value.strip().rstrip(".").lower()


async def _critical(session: AsyncSession, target: Target, names: Iterable[str]) -> bool:
    wanted = {(target.type.value, _canonical(target.type, target.value))}
    wanted |= {(kind.value, _canonical(kind, name)) for name in names for kind in _NAMED}
    rows = await facts.assets(session, sorted(wanted))
    return any(row.critical or row.kind in _CRITICAL_KINDS for row in rows)


def _canonical(kind: ObservableType, value: str) -> str:
    try:
        return CANONICAL[kind](value)
    except ValueError:
        return value
