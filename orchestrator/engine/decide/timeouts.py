"""How long may a step work? Its timeout, which stands still while people are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager


class Limit:
    """The timeout of one step that is at work."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout
        self._pauses = 0
        self._left = 0.0

    @classmethod
    @asynccontextmanager
    async def of(cls, seconds: int) -> AsyncIterator[Limit]:
        """Raises TimeoutError when what is done inside takes longer."""
        async with asyncio.timeout(seconds) as timeout:
            yield cls(timeout)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count; several branches may pause it at once."""
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
def all_paused(limits: Iterable[Limit]) -> Iterator[None]:
    """The limits of a step and of all around it."""
    with ExitStack() as stack:
        for limit in limits:
            stack.enter_context(limit.paused())
        yield
