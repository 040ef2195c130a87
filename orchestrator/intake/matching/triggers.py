"""Matching of alerts to playbooks, before the transaction that commits the alerts.

An expression has a budget of steps, and so has a trigger for all alerts of one body. A version
whose trigger exceeds it is set aside: it starts no run until it is published again. Many alerts do
not exceed it: who writes a body could set every version aside.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.alert import with_age
from orchestrator.playbook.language.budget import TRIGGER_STEPS, Budget, BudgetExceeded
from orchestrator.playbook.language.evaluate import (
    ExpressionError,
    evaluate_condition,
    evaluate_text,
)
from orchestrator.playbook.plan import Plan, Trigger
from orchestrator.store.queries import alerts, runs
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


async def candidates(session: AsyncSession) -> list[Candidate]:
    """Return the newest live version and shadow of every playbook with a trigger."""
    found = []
    for name, version, digest, stage in await alerts.newest_triggers(session):
        plan = _plans.get((name, version, digest)) or await _load(session, name, version, digest)
        if plan.trigger is not None:
            found.append(Candidate(plan, plan.trigger, digest, shadow=stage != "live"))
    return found


class TriggerResults:
    """What the triggers say of the alerts of one body."""

    def __init__(self) -> None:
        self.by_alert: dict[str, tuple[list[Match], dict[str, str]]] = {}
        """By alert id, the matches, and by playbook the triggers' errors."""
        self.exceeded: dict[tuple[str, int], str] = {}
        """The versions whose trigger exceeds its budget, with the error."""
        self._used: dict[tuple[str, int], int] = defaultdict(int)
        self._read: dict[tuple[str, int], int] = defaultdict(int)
        self._since_yield = 0

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
            self._used[version] += budget.used
            self._read[version] += 1
            self._since_yield += budget.used
            if self._used[version] > max(BODY_STEPS, MANY_STEPS * self._read[version]):
                self.exceeded[version] = (
                    f"the trigger exceeded its budget of {BODY_STEPS} steps for one body"
                )


async def evaluate_triggers(
    candidates: Sequence[Candidate], rows: Iterable[AlertRow]
) -> TriggerResults:
    """Return what the triggers say of the alerts of one body."""
    results = TriggerResults()
    for row in rows:
        await results.evaluate(candidates, row)
    return results


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


async def _load(session: AsyncSession, name: str, version: int, digest: str) -> Plan:
    row = await runs.get_playbook(session, name, version)
    assert row is not None  # noqa: S101 - it was listed in this transaction, and versions are never deleted
    if len(_plans) >= MAX_PLANS:
        _plans.clear()
    plan = _plans[name, version, digest] = Plan.model_validate(row.plan)
    return plan
