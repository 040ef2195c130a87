"""Waits: a pause, or a further alert of the run's incident."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Protocol

from orchestrator.contracts.run import StepRef
from orchestrator.domain.alert import with_age
from orchestrator.domain.errors import Rejected, TocsinError
from orchestrator.domain.run import StepState, WaitingForEvent, WaitingForTime
from orchestrator.engine.decide.port import EventPort, RunClock, StepLog
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.playbook.language.evaluate import evaluate, evaluate_condition
from orchestrator.playbook.plan import Wait

SHORTEST, LONGEST = 60.0, 10_800.0
"""Seconds between two looks; in between, a twentieth of the time waited so far.

A wait of weeks so has a short history.
"""
SLACK = timedelta(minutes=2)
"""How far the store's clock and the run's may differ."""


class WaitPort(EventPort, RunClock, StepLog, Protocol):
    """What waiting needs: alerts, a clock, and the record of what is waited for."""


class RunWaits:
    """The waits of one run. An alert that ended one wait does not end another."""

    def __init__(self, port: WaitPort, started_at: datetime) -> None:
        self._port = port
        self._started_at = started_at
        self._taken: set[str] = set()

    async def wait(self, step: Wait, ref: StepRef, scope: StepScope) -> dict[str, Any]:
        """Return the step's result. Raise Rejected without an event, where that fails the step."""
        if step.event is None:
            seconds = parse_duration(evaluate(step.seconds, scope.variables()))
            await self.pause(step.kind, ref, seconds)
            return {"waited": True, "event": None}
        within = step.within or 0
        waiting = WaitingForEvent(event=step.event, expires_at=self._until(within))
        await self._port.note(ref, step.kind, StepState.WAITING, waiting_for=waiting)
        event = await self._wait_for_event(step.event, within, scope)
        if event is None and step.otherwise == "fail":
            raise Rejected(f"no matching alert arrived within {step.within} s")
        return {"waited": event is not None, "event": event}

    async def pause(self, kind: str, ref: StepRef, seconds: int) -> None:
        """Wait on the clock, and record until when."""
        waiting = WaitingForTime(expires_at=self._until(seconds))
        await self._port.note(ref, kind, StepState.WAITING, waiting_for=waiting)
        await self._port.sleep(seconds)

    def _until(self, seconds: int) -> datetime:
        return self._port.now() + timedelta(seconds=seconds)

    async def _wait_for_event(
        self, fits: str, within: int, scope: StepScope
    ) -> dict[str, Any] | None:
        """Return the first alert that joined the incident since the run began and fits."""
        began = self._port.now()
        deadline = began + timedelta(seconds=within)
        since, looked_at = self._started_at, set[str]()
        while True:
            now = self._port.now()
            for found in await self._port.events(since):
                alert = with_age(found, now)
                name = str(alert.get("id"))
                if (
                    name not in looked_at
                    and name not in self._taken
                    and _fits(fits, scope.variables(event=alert))
                ):
                    self._taken.add(name)
                    return alert
                looked_at.add(name)
            since = max(since, now - SLACK)
            left = (deadline - self._port.now()).total_seconds()
            if left <= 0:
                return None
            pause = max(SHORTEST, (now - began).total_seconds() / 20)
            await self._port.wait_for_event(min(left, LONGEST, pause))


def _fits(fits: str, variables: dict[str, Any]) -> bool:
    try:
        return evaluate_condition(fits, variables)
    except TocsinError:
        return False  # an alert without the field is not the one that is waited for
