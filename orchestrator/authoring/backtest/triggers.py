"""Which alerts start a run: trigger, `once_per` and limit of runs, in the time of the alerts."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.domain.alert import with_age
from orchestrator.intake.matching.triggers import once_key
from orchestrator.playbook.language.budget import TRIGGER_STEPS, Budget
from orchestrator.playbook.language.evaluate import ExpressionError, evaluate_condition
from orchestrator.playbook.plan import Plan, Trigger
from orchestrator.store.queries.history import StoredAlert


class StartDecision(StrEnum):
    """Whether an alert starts a run."""

    NO = "no"  # the trigger does not fit, or an earlier run covers the alert
    LIMITED = "limited"  # beyond `runs_per_hour`: people are asked before the run begins
    YES = "yes"


class TriggerReplay:
    """The trigger of one playbook, replayed over alerts in the order of their arrival."""

    def __init__(self, plan: Plan, trigger: Trigger) -> None:
        self._trigger = trigger
        self._within = timedelta(seconds=trigger.within)
        self._limit = plan.limits.runs_per_hour
        self._taken: dict[str, datetime] = {}
        self._begun: deque[datetime] = deque()

    @property
    def memory(self) -> timedelta:
        """How long before an alert earlier ones decide whether it starts a run."""
        return max(self._within, timedelta(hours=1) if self._limit is not None else timedelta())

    def start(self, alert: StoredAlert) -> StartDecision:
        """Decide as `intake.matching` does, at the time when the alert was received."""
        view = with_age(alert.view, alert.received_at)
        budget = Budget(TRIGGER_STEPS)
        try:
            if not evaluate_condition(self._trigger.when, {"alert": view}, budget):
                return StartDecision.NO
            key, _ = once_key(self._trigger, alert.id, view, budget)
        except ExpressionError:
            return StartDecision.NO
        at = alert.received_at
        if (taken := self._taken.get(key)) is not None and taken >= at - self._within:
            return StartDecision.NO
        while self._begun and self._begun[0] < at - timedelta(hours=1):
            self._begun.popleft()
        self._taken[key] = at
        if self._limit is not None and len(self._begun) >= self._limit:
            return StartDecision.LIMITED
        self._begun.append(at)
        return StartDecision.YES
