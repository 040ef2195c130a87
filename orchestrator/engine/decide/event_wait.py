"""How does a run wait for a further alert? It is told of new ones, and looks by itself now and then, ever more rarely."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from orchestrator.domain.errors import TocsinError
from orchestrator.engine.decide.port import Port
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.language.evaluate import condition

SHORTEST, LONGEST = 60.0, 10_800.0
"""Seconds between two looks; a twentieth of the time waited so far, so that a wait of weeks has a short history."""
SLACK = timedelta(minutes=2)
"""The store's clock and the workflow's may differ by this; an alert that is seen twice is looked at once."""


class Waiting:
    """One run's. An alert that ended one wait does not end another."""

    def __init__(self, port: Port, started_at: datetime) -> None:
        self._port = port
        self._started_at = started_at
        self._taken: set[str] = set()

    async def event(self, fits: str, within: int, place: Place) -> dict[str, Any] | None:
        """The first alert that joined the incident since the run began and fits; None when none came within so many seconds."""
        began = self._port.now()
        deadline = began + timedelta(seconds=within)
        since, looked_at = self._started_at, set[str]()
        while True:
            now = self._port.now()
            for alert in await self._port.events(since):
                name = str(alert.get("id"))
                if (
                    name not in looked_at
                    and name not in self._taken
                    and _fits(fits, place.scope(event=alert))
                ):
                    self._taken.add(name)
                    return dict(alert)
                looked_at.add(name)
            since = max(since, now - SLACK)
            left = (deadline - self._port.now()).total_seconds()
            if left <= 0:
                return None
            await self._port.nudged(
                min(left, LONGEST, max(SHORTEST, (now - began).total_seconds() / 20))
            )


def _fits(fits: str, scope: dict[str, Any]) -> bool:
    try:
        return condition(fits, scope)
    except TocsinError:
        return False  # an alert without the field is not the one that is waited for
