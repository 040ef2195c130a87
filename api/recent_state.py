"""State of the installation that every response needs, read at most so often."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError

_TIMEOUT_SECONDS = 1.0
_log = structlog.get_logger(__name__)
T = TypeVar("T")


class RecentState(Generic[T]):
    """A cache of one value: one request at a time reads it, and no response waits for the others.

    `name`: what is read, for the log.
    """

    def __init__(
        self, name: str, read: Callable[[], Awaitable[T]], initial: T, *, fresh_seconds: float
    ) -> None:
        self._name, self._read, self._value = name, read, initial
        self._fresh_seconds = fresh_seconds
        self._read_at = -math.inf
        self._reading = False

    def refresh(self) -> None:
        """Make the next response read the value again."""
        self._read_at = -math.inf

    async def get(self) -> T:
        """Return the value; where the database does not answer, the one before."""
        if not self._reading and time.monotonic() - self._read_at > self._fresh_seconds:
            self._reading, self._read_at = True, time.monotonic()
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    self._value = await self._read()
            except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
                _log.warning(f"{self._name} not readable", error=type(error).__name__)
            finally:
                self._reading = False
        return self._value
