"""Which alerts start a run? Triggers, `once_per` and the limit of runs, in the time in which the alerts came."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from enum import StrEnum

from orchestrator.intake.match import once_key
from orchestrator.playbook.language.evaluate import ExpressionError, condition
from orchestrator.playbook.plan import Plan, Trigger
from orchestrator.store.queries.history import StoredAlert


class Start(StrEnum):
    """What becomes of an alert."""

    NO = "no"  # it does not fit, or an earlier run covers it
    LIMITED = "limited"  # people are asked before it begins
    YES = "yes"


class Keys:
    """One playbook's. Ask in the order in which the alerts came."""

    def __init__(self, plan: Plan, trigger: Trigger) -> None:
        self._trigger = trigger
        self._within = timedelta(seconds=trigger.within)
        self._limit = plan.limits.runs_per_hour
        self._taken: dict[str, datetime] = {}
        self._begun: deque[datetime] = deque()

    @property
    def memory(self) -> timedelta:
        """How far back an alert tasks for whether a later one starts a run."""
        return max(self._within, timedelta(hours=1) if self._limit is not None else timedelta())

    def start(self, alert: StoredAlert) -> Start:
        """As `intake.match` decides it, with the alert's own moment for now."""
        try:
            fits = condition(self._trigger.when, {"alert": alert.view})
        except ExpressionError:
            return Start.NO
        if not fits:
            return Start.NO
        key, _ = once_key(self._trigger, alert.id, alert.view)
        at = alert.received_at
        if (taken := self._taken.get(key)) is not None and taken >= at - self._within:
            return Start.NO
        while self._begun and self._begun[0] < at - timedelta(hours=1):
            self._begun.popleft()
        self._taken[key] = at
        if self._limit is not None and len(self._begun) >= self._limit:
            return Start.LIMITED
        self._begun.append(at)
        return Start.YES
