"""Client-side rate limit: a token bucket that grants turns in order of arrival."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from orchestrator.domain.errors import Unavailable


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests per period. A burst may use the whole period's count at once."""

    count: int
    per: timedelta = timedelta(seconds=1)


class TokenBucket:
    """A token bucket. Callers reserve a turn and then wait for it, so they stay in order."""

    def __init__(
        self,
        limit: RateLimit,
        *,
        longest_wait: timedelta = timedelta(seconds=20),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per = limit.per.total_seconds()
        self._interval = self._per / limit.count
        self._longest = longest_wait.total_seconds()
        self._clock = clock
        self._full_at = 0.0  # when the bucket is full again if no one takes a turn before

    def reserve(self) -> float:
        """Reserve the next turn and return the seconds until then.

        Raises Unavailable, without reserving, when that is longer than the longest wait.
        """
        now = self._clock()
        full_at = max(self._full_at, now) + self._interval
        wait = max(0.0, full_at - now - self._per)
        if wait > self._longest:
            message = f"the connection's rate limit is exhausted for {wait:.0f} s"
            raise Unavailable(message, retry_after=timedelta(seconds=wait))
        self._full_at = full_at
        return wait

    async def take(self) -> None:
        """Wait for a turn. Raises Unavailable when it is too far in the future."""
        wait = self.reserve()
        if wait > 0:
            await asyncio.sleep(wait)
