"""What stands between the engine and a connector: it writes down each call, and lets a worker die before or after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

from connectors.sdk.call import Call
from connectors.sdk.connector import Connector

Moment = Literal["apply:before", "apply:after", "undo:before", "undo:after"]
MOMENTS: tuple[Moment, ...] = ("apply:before", "apply:after", "undo:before", "undo:after")


class WorkerDied(Exception):
    """Nothing of ours catches it: what the activity would have written down afterwards is never written."""


class Interposed:
    """A connector as the engine sees it. `due`: at which of the next calls its worker dies; `undone`: how often what was taken back.

    `on_apply` looks at each change at the moment before it is made.
    """

    def __init__(self, inner: Connector[Any]) -> None:
        self._inner = inner
        self.on_apply: Callable[[dict[str, Any], Call], None] = _unseen
        self.due: list[Moment] = []
        self.undone: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def apply(
        self, action: str, planned_change: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        if planned_change["changed"]:
            self.on_apply(planned_change, call)
            self._die("apply:before")
        output = await self._inner.apply(action, planned_change, call)
        self._die("apply:after")
        return output

    async def undo(self, action: str, planned_change: dict[str, Any], call: Call) -> None:
        self._die("undo:before")
        await self._inner.undo(action, planned_change, call)
        self._die("undo:after")
        self.undone[f"{call.run_id}/{call.step_id}"] += 1

    def _die(self, moment: Moment) -> None:
        if moment in self.due:
            self.due.remove(moment)
            raise WorkerDied(moment)


def _unseen(_planned_change: dict[str, Any], _call: Call) -> None:
    """Before the first sequence."""
