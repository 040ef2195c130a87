"""Timeouts of steps, which stand still while a run waits for people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager


class StepTimeout:
    """The timeout of one running step."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self._pauses = 0
        self._left = 0.0

    @classmethod
    @asynccontextmanager
    async def after(cls, seconds: int) -> AsyncIterator[StepTimeout]:
        """Raise TimeoutError when the work inside takes longer."""
        async with asyncio.timeout(seconds) as timeout:
            yield cls(timeout)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not count the time inside. Several branches may pause the same timeout."""
        loop = asyncio.get_running_loop()
        if self._pauses == 0 and (when := self._timeout.when()) is not None:
            self._left = when - loop.time()
            self._timeout.reschedule(None)
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if self._pauses == 0 and not self._timeout.expired():
                self._timeout.reschedule(loop.time() + self._left)


@contextmanager
def pause_all(timeouts: Iterable[StepTimeout]) -> Iterator[None]:
    """Pause the timeouts of a step and of all steps around it."""
    with ExitStack() as stack:
        for timeout in timeouts:
            stack.enter_context(timeout.pause())
        yield
