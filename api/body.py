"""Limits on a request body: how many bytes are read, and for how long the API waits for them."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from api.problems import TooLarge

SECONDS = 30.0
"""Time limit for a whole body to arrive."""


class BoundedBody:
    """An ASGI `receive` that counts the bytes itself, whatever Content-Length says."""

    def __init__(self, scope: Scope, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._announced = _content_length(scope)
        self._read = 0
        self._deadline: float | None = None
        self._complete = False
        self.refused = False
        """Whether the connection must be closed, as the rest of the body is still on its way."""

    async def __call__(self) -> Message:
        """Return the next part. Raise 413 over the limit, 408 when the body takes too long."""
        if self._complete:
            return await self._receive()
        if self._announced > self._limit:
            self.refused = True
            raise TooLarge(self._limit)
        message = await self._receive_in_time()
        self._read += len(message.get("body", b""))
        if self._read > self._limit:
            self.refused = True
            raise TooLarge(self._limit)
        self._complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def _receive_in_time(self) -> Message:
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + SECONDS
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._receive()
        except TimeoutError:
            self.refused = True
            raise HTTPException(408, f"the body did not arrive within {SECONDS:.0f} s") from None


def _content_length(scope: Scope) -> int:
    """Return the announced length, 0 where it is missing or invalid."""
    given = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return int(given[0]) if len(given) == 1 and given[0].isdigit() and len(given[0]) < 20 else 0
