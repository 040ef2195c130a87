"""Bad luck of calls: a connector whose worker dies before or after one, or which is slow."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Literal

from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from orchestrator.domain.errors import Rejected, Unavailable
from tests.proof.clock import VirtualClock

Moment = Literal[
    "apply:before",
    "apply:after",
    "undo:before",
    "undo:after",
    "apply:refused",
    "apply:slow",
    "undo:slow",
]
MOMENTS: tuple[Moment, ...] = ("apply:before", "apply:after", "undo:before", "undo:after")
SLOW: tuple[Moment, ...] = ("apply:slow", "undo:slow")
_LOOK, _IDLE_LOOKS, _LONGEST = 0.02, 8, 3.0
_SOON = 1.0
"""Seconds of real time, how often nothing else may run before a slow call goes on, and at most."""


class WorkerDied(Exception):
    """No code catches it, so that the activity records nothing afterwards."""


class SlowCalls:
    """Calls that take until everything else waits for them."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._open = 0
        self._kept = False

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep slow calls from going on, first until one has begun, if one begins soon."""
        self._kept, end = True, time.monotonic() + _SOON
        try:
            while not self._open and time.monotonic() < end:
                await asyncio.sleep(_LOOK)
            yield
        finally:
            self._kept = False

    async def wait(self) -> None:
        """Return once no other activity runs."""
        self._open += 1
        idle, end = 0, time.monotonic() + _LONGEST
        try:
            while idle < _IDLE_LOOKS and time.monotonic() < end:
                await asyncio.sleep(_LOOK)
                is_idle = not self._kept and self._clock.busy <= self._open
                idle = idle + 1 if is_idle else 0
        finally:
            self._open -= 1


class CrashingConnector:
    """A connector as the engine sees it."""

    def __init__(
        self, name: str, inner: Connector[Any], slow_calls: SlowCalls, away: set[str]
    ) -> None:
        self._name, self._inner, self._slow_calls = name, inner, slow_calls
        self._away = away  # the systems that answer no plan: each is to be tried an hour later
        # Called before each change.
        self.on_apply: Callable[[dict[str, Any], ActionCall], None] = _ignore
        self.due: list[Moment] = []  # when the worker dies
        self.undone: Counter[str] = Counter()  # by step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def plan(self, action: str, wish: dict[str, Any], call: ActionCall) -> dict[str, Any]:
        if self._name in self._away:
            raise Unavailable("the system is away", timedelta(hours=1))
        return await self._inner.plan(action, wish, call)

    async def apply(
        self, action: str, planned_change: dict[str, Any], call: ActionCall
    ) -> dict[str, Any]:
        if planned_change["changed"]:
            self.on_apply(planned_change, call)
            self._die("apply:before")
            await self._linger("apply:slow")
            if "apply:refused" in self.due:
                self.due.remove("apply:refused")
                raise Rejected("the system refuses it")
        output = await self._inner.apply(action, planned_change, call)
        self._die("apply:after")
        return output

    async def undo(
        self, action: str, planned_change: dict[str, Any], call: ActionCall, keep: Any = ()
    ) -> None:
        self._die("undo:before")
        await self._linger("undo:slow")
        await self._inner.undo(action, planned_change, call, keep)
        self._die("undo:after")
        self.undone[f"{call.run_id}/{call.step_id}"] += 1

    async def _linger(self, moment: Moment) -> None:
        if moment in self.due:
            self.due.remove(moment)
            await self._slow_calls.wait()

    def _die(self, moment: Moment) -> None:
        if moment in self.due:
            self.due.remove(moment)
            raise WorkerDied(moment)


def _ignore(_planned_change: dict[str, Any], _call: ActionCall) -> None:
    """Do nothing before the first sequence."""
