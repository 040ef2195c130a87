"""Bounds on the events that those who prove nothing can cause: the others are counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(slots=True)
class _Minute:
    number: int = -1
    written: int = 0
    left_out: int = 0


class EventBudget:
    """How many events of each key are written a minute. An event counts those before it.

    The keys must be few: they are kept for good.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._minutes: dict[Hashable, _Minute] = {}

    def reserve(self, key: Hashable = None) -> int | None:
        """Return how many events were left out before this one; None: leave this one out too."""
        minute = self._minutes.setdefault(key, _Minute())
        number = int(self._clock() // 60)
        if number != minute.number:
            minute.number, minute.written = number, 0
        if minute.written >= self._per_minute:
            minute.left_out += 1
            return None
        minute.written += 1
        left_out, minute.left_out = minute.left_out, 0
        return left_out
