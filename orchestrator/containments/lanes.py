"""Lanes: a lane for each connection, so that a slow system delays nothing but its own."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

QUEUED = 100
"""Pieces of work that one lane takes in; the store keeps the rest."""


class Lanes:
    """At most so many pieces of work at once, and so many of one connection; one per key."""

    def __init__(self, at_once: int, in_a_lane: int) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(in_a_lane)
        )
        self._work: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._resting: dict[str, datetime] = {}

    def keys(self, now: datetime) -> set[str]:
        """Return the keys that are worked on, or rest until later."""
        self._resting = {key: until for key, until in self._resting.items() if until > now}
        return self._work.keys() | self._resting.keys()

    def full(self) -> set[str]:
        """Return the connections whose lane takes in nothing more."""
        queued = Counter(connection for connection, _ in self._work.values())
        return {connection for connection, count in queued.items() if count >= QUEUED}

    def begin(self, key: str, connection: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a piece of work as soon as its lane has room. It raises nothing."""
        task = asyncio.create_task(self._do(key, connection, work))
        self._work[key] = (connection, task)

    def rest(self, key: str, now: datetime, by: timedelta) -> None:
        """Take no work on a key for a while."""
        self._resting[key] = now + by

    @property
    def busy(self) -> bool:
        """Whether there is work."""
        return bool(self._work)

    async def close(self) -> None:
        """Wait for no work any more."""
        tasks = [task for _, task in self._work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, key: str, connection: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            # The lane first: what waits for a slow system takes no room from others.
            async with self._lanes[connection], self._all:
                await work()
        finally:
            del self._work[key]
