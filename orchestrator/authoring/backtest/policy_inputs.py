"""Policy inputs of a backtest: the real inventory, and limits that count the backtest's changes."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.assets.facts import AssetFacts, asset_facts_from
from orchestrator.assets.index import AssetIndex
from orchestrator.domain.change import Change
from orchestrator.domain.observable import Target
from orchestrator.policy.evaluate import COUNTED, GUARDED
from orchestrator.policy.inputs import ChangeContext, ChangeFacts, LimitUsage, OwnInfrastructure
from orchestrator.policy.limits import KINDS, Kind, limits_on, usage_of
from orchestrator.policy.load_inputs import target_names
from orchestrator.policy.sections import PolicyLimits
from orchestrator.store.queries.effects import LimitWindow


class Touch(NamedTuple):
    """A target that the backtest changed."""

    at: datetime
    kind: Kind
    value: str


class LimitLedger:
    """The targets that the backtest changed so far, in its own time."""

    def __init__(self) -> None:
        self._touches: dict[tuple[tuple[str, str], ...], list[Touch]] = {}

    def touch(self, change: Change, run_id: str, context: ChangeContext, now: datetime) -> None:
        """Count an applied change."""
        if change.effect not in COUNTED or change.target.type not in KINDS:
            return
        touch = Touch(now, KINDS[change.target.type], change.target.value)
        columns = [
            ("run_id", run_id),
            ("playbook", context.playbook),
            ("connector", change.connector),
        ]
        columns += [("source", context.source)] if context.source is not None else []
        for key in ((), *((column,) for column in columns)):
            insort(self._touches.setdefault(key, []), touch)

    def usage(
        self,
        change: Change,
        run_id: str,
        now: datetime,
        context: ChangeContext,
        limits: PolicyLimits,
    ) -> Iterator[LimitUsage]:
        """Yield the usage of each limit on a change, as `policy.limits` counts it in the store."""
        if change.effect not in COUNTED or not change.changed or change.target.type not in KINDS:
            return
        kind = KINDS[change.target.type]
        kinds: tuple[Kind, ...] = ("networks", "addresses") if kind == "networks" else (kind,)
        for each in kinds:
            for limit in limits_on(limits, context, change, run_id, each, now):
                values = self._values(limit.span, each)
                networks = self._values(limit.span, "networks") if each == "addresses" else set()
                yield usage_of(
                    limit,
                    change.target,
                    (len(values), change.target.value in values),
                    sorted(networks),
                )

    def _values(self, span: LimitWindow, kind: Kind) -> set[str]:
        found: set[str] = set()
        for touch in reversed(self._touches.get(span.columns, ())):
            if span.since is not None and touch.at <= span.since:
                break
            if touch.kind == kind:
                found.add(touch.value)
        return found


@dataclass
class PolicyInputs:
    """What the policy evaluates changes by.

    Kill switches and circuit breakers are left out: those of the past are over.
    """

    inventory: AssetIndex
    own: tuple[OwnInfrastructure, ...]  # what Tocsin itself depends on
    connectors: Mapping[str, str]  # by connection
    limits: PolicyLimits
    ledger: LimitLedger = field(default_factory=LimitLedger)
    _facts: dict[tuple[Any, ...], AssetFacts] = field(default_factory=dict)

    def facts(
        self,
        change: Change,
        alert: Mapping[str, Any],
        looked_up: Iterable[Any],
        run_id: str,
        now: datetime,
        context: ChangeContext,
    ) -> ChangeFacts:
        """Return the facts about a change, as `policy.load_inputs` reads them from the store."""
        guarded = change.effect in GUARDED
        names, sure = (
            target_names(change, alert, looked_up)
            if guarded
            else (frozenset[str](), frozenset[str]())
        )
        asset = (
            self._asset_facts(change.target, frozenset(names), frozenset(sure))
            if change.effect.changes
            else AssetFacts()
        )
        return ChangeFacts(
            names=tuple(sorted({*names, *asset.names} if guarded else names)),
            tags=asset.tags,
            sure_tags=asset.sure_tags,
            critical=asset.critical,
            known=asset.known,
            internal=asset.internal,
            own=self.own if guarded else (),
            used=tuple(self.ledger.usage(change, run_id, now, context, self.limits)),
        )

    def _asset_facts(
        self, target: Target, names: frozenset[str], sure: frozenset[str]
    ) -> AssetFacts:
        key = (target.type, target.value, names, sure)
        if key not in self._facts:
            self._facts[key] = asset_facts_from(
                self.inventory.candidates(target, names), target, names, sure
            )
        return self._facts[key]
