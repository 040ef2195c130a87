"""Matching of alerts to playbooks, before the transaction that commits the alerts.

An expression has a budget of steps, and so has a trigger for all alerts of one body. A version
whose trigger exceeds it is set aside: it starts no run until it is published again. Many alerts do
not exceed it: who writes a body could set every version aside.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrator.domain.alert import with_age
from orchestrator.playbook.language.budget import TRIGGER_STEPS, Budget, BudgetExceeded
from orchestrator.playbook.language.evaluate import (
    ExpressionError,
    evaluate_condition,
    evaluate_text,
)
from orchestrator.playbook.plan import Plan, Trigger
from orchestrator.store.queries import runs
from orchestrator.store.session import Store
from orchestrator.store.statements import intake as statements
from orchestrator.store.statements.driver import Driver
from orchestrator.store.tables import AlertRow

BODY_STEPS = 50 * TRIGGER_STEPS
"""The budget of one trigger for all alerts of a body, as far as it takes many steps for each."""
MANY_STEPS = TRIGGER_STEPS // 4
"""More than a trigger without fault takes for the largest alert."""
MAX_PLANS = 1024
"""The maximum number of parsed plans in memory."""
_YIELD_STEPS = 5_000  # after which other requests get their turn
_MAX_KEY = 200  # characters; an index entry has to hold it
_plans: dict[tuple[str, int, str], Plan] = {}


class Candidate(NamedTuple):
    """A playbook that an alert may start."""

    plan: Plan
    trigger: Trigger
    digest: str
    shadow: bool = False
    """Whether it only runs dry, next to the live version."""

    @property
    def version(self) -> tuple[str, int]:
        """The playbook's name and version."""
        return self.plan.playbook, self.plan.version

    @property
    def label(self) -> str:
        """The playbook's name in errors."""
        return f"{self.plan.playbook}{' (shadow)' if self.shadow else ''}"


class Match(NamedTuple):
    """A playbook whose trigger matches an alert."""

    candidate: Candidate
    alert: AlertRow
    key: str
    """The `once_per` key; the alert's id where `once_per` fails."""
    error: str | None
    """Why `once_per` fails."""


async def candidates(store: Store, driver: Driver) -> list[Candidate]:
    """Return the newest live version and shadow of every playbook with a trigger."""
    found = []
    for name, version, digest, stage in await statements.NEWEST_TRIGGERS.rows(driver, {}):
        plan = _plans.get((name, version, digest)) or await _load(store, name, version, digest)
        if plan.trigger is not None:
            found.append(Candidate(plan, plan.trigger, digest, shadow=stage != "live"))
    return found


@dataclass(slots=True)
class TriggerBudget:
    """What the triggers have used of their budgets for one body, by version."""

    used: dict[tuple[str, int], int] = field(default_factory=dict)
    read: dict[tuple[str, int], int] = field(default_factory=dict)
    exceeded: dict[tuple[str, int], str] = field(default_factory=dict)
    """The versions whose trigger exceeds its budget, with the error."""

    def copy(self) -> TriggerBudget:
        """Return a copy, for what may be evaluated again."""
        return TriggerBudget(dict(self.used), dict(self.read), dict(self.exceeded))

    def spend(self, version: tuple[str, int], steps: int) -> None:
        """Count the steps that a trigger took for one alert."""
        used = self.used[version] = self.used.get(version, 0) + steps
        read = self.read[version] = self.read.get(version, 0) + 1
        if used > max(BODY_STEPS, MANY_STEPS * read):
            why = f"the trigger exceeded its budget of {BODY_STEPS} steps for one body"
            self.exceeded[version] = why


class TriggerResults:
    """What the triggers say of alerts of one body."""

    def __init__(self, before: TriggerBudget | None = None) -> None:
        """Take what the alerts of the body before these used."""
        self.by_alert: dict[str, tuple[list[Match], dict[str, str]]] = {}
        """By alert id, the matches, and by playbook the triggers' errors."""
        self.budget = before.copy() if before is not None else TriggerBudget()
        self._since_yield = 0

    @property
    def exceeded(self) -> dict[tuple[str, int], str]:
        """The versions whose trigger exceeds its budget, with the error."""
        return self.budget.exceeded

    async def evaluate(self, candidates: Sequence[Candidate], alert: AlertRow) -> None:
        """Add what the triggers say of an alert. Other tasks run meanwhile."""
        matches: list[Match] = []
        errors: dict[str, str] = {}
        view = with_age(alert.view, alert.received_at)
        for candidate in candidates:
            try:
                match = self._match(candidate, alert, view)
            except ExpressionError as error:
                errors[candidate.label] = str(error)[:200]
            else:
                matches += [match] if match else []
            if self._since_yield > _YIELD_STEPS:
                self._since_yield = 0
                await asyncio.sleep(0)
        self.by_alert[alert.id] = matches, errors

    def _match(self, candidate: Candidate, alert: AlertRow, view: dict[str, Any]) -> Match | None:
        """Return the match of a playbook and an alert, if it is one. Raises ExpressionError."""
        version, trigger = candidate.version, candidate.trigger
        if known := self.exceeded.get(version):
            raise BudgetExceeded(known)
        budget = Budget(TRIGGER_STEPS)
        try:
            if not evaluate_condition(trigger.when, {"alert": view}, budget):
                return None
            return Match(candidate, alert, *once_key(trigger, alert.id, view, budget))
        except BudgetExceeded as error:
            self.exceeded[version] = error.message
            raise
        finally:
            self._since_yield += budget.used
            self.budget.spend(version, budget.used)


def once_key(
    trigger: Trigger, alert_id: str, alert: dict[str, Any], budget: Budget
) -> tuple[str, str | None]:
    """Return the key under which an alert starts one run, and the error of `once_per`.

    Where `once_per` fails on this alert, the alert's id is the key: one run too many is better than
    a missing one.
    """
    try:
        key = evaluate_text(trigger.once_per, {"alert": alert}, budget)
    except BudgetExceeded:
        raise
    except ExpressionError as error:
        return alert_id, str(error)[:200]
    return (
        key if len(key) <= _MAX_KEY else f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
    ), None


async def _load(store: Store, name: str, version: int, digest: str) -> Plan:
    async with store.read() as session:
        row = await runs.get_playbook(session, name, version)
    assert row is not None  # noqa: S101 - it was listed, and versions are never deleted
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    plan = _plans[name, version, digest] = Plan.model_validate(row.plan)
    return plan
