"""What is a change judged by in a backtest? The real inventory, and limits that count what the backtest itself would have done."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from orchestrator.assets.facts import Indexed, Said, said_by
from orchestrator.domain.change import Change
from orchestrator.domain.observable import Target
from orchestrator.policy.evaluate import COUNTED, GUARDED
from orchestrator.policy.inputs import Context, Facts, Own, Used
from orchestrator.policy.limits import KINDS, Kind, limits_on, used_of
from orchestrator.policy.load_inputs import names_of
from orchestrator.policy.sections import PolicyLimits
from orchestrator.store.queries.effects import Span


class Touch(NamedTuple):
    """A target that was touched."""

    at: datetime
    kind: Kind
    value: str


class Ledger:
    """What was touched so far, in the backtest's own time."""

    def __init__(self) -> None:
        self._touches: dict[tuple[tuple[str, str], ...], list[Touch]] = {}

    def touch(self, change: Change, run_id: str, context: Context, now: datetime) -> None:
        """A change was made."""
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

    def used(
        self, change: Change, run_id: str, now: datetime, context: Context, limits: PolicyLimits
    ) -> Iterator[Used]:
        """As `policy.radius.used` counts it in the store."""
        if change.effect not in COUNTED or not change.changed or change.target.type not in KINDS:
            return
        kind = KINDS[change.target.type]
        kinds: tuple[Kind, ...] = ("networks", "addresses") if kind == "networks" else (kind,)
        for each in kinds:
            for limit in limits_on(limits, context, change, run_id, each, now):
                values = self._values(limit.span, each)
                networks = self._values(limit.span, "networks") if each == "addresses" else set()
                yield used_of(
                    limit,
                    change.target,
                    (len(values), change.target.value in values),
                    sorted(networks),
                )

    def _values(self, span: Span, kind: Kind) -> set[str]:
        found: set[str] = set()
        for touch in reversed(self._touches.get(span.columns, ())):
            if span.since is not None and touch.at <= span.since:
                break
            if touch.kind == kind:
                found.add(touch.value)
        return found


@dataclass
class Surroundings:
    """`connectors`: by connection; `own`: what Tocsin stands on. No kill switch and no breaker counts: those of then are over."""

    inventory: Indexed
    own: tuple[Own, ...]
    connectors: Mapping[str, str]
    limits: PolicyLimits
    ledger: Ledger = field(default_factory=Ledger)
    _said: dict[tuple[Any, ...], Said] = field(default_factory=dict)

    def facts(
        self,
        change: Change,
        alert: Mapping[str, Any],
        looked_up: Iterable[Any],
        run_id: str,
        now: datetime,
        context: Context,
    ) -> Facts:
        """As `policy.facts.gather` reads them from the store."""
        guarded = change.effect in GUARDED
        names, sure = (
            names_of(change, alert, looked_up) if guarded else (frozenset[str](), frozenset[str]())
        )
        said = (
            self._of(change.target, frozenset(names), frozenset(sure))
            if change.effect.changes
            else Said()
        )
        return Facts(
            names=tuple(sorted(names)),
            tags=said.tags,
            critical=said.critical,
            known=said.known,
            own=self.own if guarded else (),
            used=tuple(self.ledger.used(change, run_id, now, context, self.limits)),
        )

    def _of(self, target: Target, names: frozenset[str], sure: frozenset[str]) -> Said:
        key = (target.type, target.value, names, sure)
        if key not in self._said:
            self._said[key] = said_by(self.inventory.near(target, names), target, names, sure)
        return self._said[key]
