"""How much of a body is read, and for how long do we wait for it? Both are bounded, whatever Content-Length says or does not say."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from api.problems import TooLarge

SECONDS = 30.0
"""Within which a whole body has to arrive."""


class BoundedBody:
    """An ASGI `receive` that stops at the limit. `refused`: the rest of the body is still on its way, so the connection has to go."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._announced = _content_length(scope)
        self._read = 0
        self._deadline: float | None = None
        self._complete = False
        self.refused = False

    async def __call__(self) -> Message:
        """The next part. Raises 413 over the limit, 408 when it takes too long."""
        if self._complete:
            return await self._receive()
        if self._announced > self._limit:
            self.refused = True
            raise TooLarge(self._limit)
        message = await self._in_time()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            self.refused = True
            raise TooLarge(self._limit)
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def _in_time(self) -> Message:
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + SECONDS
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            self.refused = True
            raise HTTPException(408, f"the body did not arrive within {SECONDS:.0f} s") from None


def _content_length(scope: Scope) -> int:
    """What the sender announces; 0 where it is missing or makes no sense, as what comes is counted anyway."""
    given = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return int(given[0]) if len(given) == 1 and given[0].isdigit() and len(given[0]) < 20 else 0
