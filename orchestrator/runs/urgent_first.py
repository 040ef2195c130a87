"""Runs that wait to be started, of which the most severe are taken first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs

_LOOKED_UP = 500  # in one statement


class UrgentFirst:
    """A queue of runs by severity, then in their order. Dry runs come last."""

    def __init__(self, rt: Runtime, most: int) -> None:
        self._rt, self._most = rt, most
        self._severities: dict[str, int | None] = {}
        """None until it is looked up, which is needed only where many wait."""

    def __len__(self) -> int:
        return len(self._severities)

    def add(self, run_ids: Iterable[str]) -> None:
        """Add runs, as many as there is room for."""
        for id_ in run_ids:
            if len(self._severities) < self._most:
                self._severities.setdefault(id_)

    async def take(self, count: int) -> list[str]:
        """Remove the next runs and return them."""
        if len(self._severities) > count:
            await self._look_up()
        numbered = enumerate(self._severities.items())
        urgent = heapq.nsmallest(
            count, ((-(severity or 0), number, id_) for number, (id_, severity) in numbered)
        )
        taken = [id_ for _, _, id_ in urgent]
        for id_ in taken:
            del self._severities[id_]
        return taken

    async def _look_up(self) -> None:
        unknown = [id_ for id_, severity in self._severities.items() if severity is None]
        async with self._rt.store.read() as session:
            for start in range(0, len(unknown), _LOOKED_UP):
                part = unknown[start : start + _LOOKED_UP]
                found = await runs.severities(session, part)
                self._severities |= {id_: found.get(id_, 0) for id_ in part}
