"""Crashes: a connector that counts calls and lets the worker die before or after one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from connectors.sdk.call import ActionCall
from connectors.sdk.connector import Connector
from orchestrator.domain.errors import Rejected

Moment = Literal["apply:before", "apply:after", "undo:before", "undo:after", "apply:refused"]
MOMENTS: tuple[Moment, ...] = ("apply:before", "apply:after", "undo:before", "undo:after")


class WorkerDied(Exception):
    """No code catches it, so that the activity records nothing afterwards."""


class CrashingConnector:
    """A connector as the engine sees it."""

    def __init__(self, inner: Connector[Any]) -> None:
        self._inner = inner
        # Called before each change.
        self.on_apply: Callable[[dict[str, Any], ActionCall], None] = _ignore
        self.due: list[Moment] = []  # when the worker dies
        self.undone: Counter[str] = Counter()  # by step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def apply(
        self, action: str, planned_change: dict[str, Any], call: ActionCall
    ) -> dict[str, Any]:
        if planned_change["changed"]:
            self.on_apply(planned_change, call)
            self._die("apply:before")
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
        await self._inner.undo(action, planned_change, call, keep)
        self._die("undo:after")
        self.undone[f"{call.run_id}/{call.step_id}"] += 1

    def _die(self, moment: Moment) -> None:
        if moment in self.due:
            self.due.remove(moment)
            raise WorkerDied(moment)


def _ignore(_planned_change: dict[str, Any], _call: ActionCall) -> None:
    """Do nothing before the first sequence."""
