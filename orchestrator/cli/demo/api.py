"""An API client that retries, as parts of the stack may be killed during the demo."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx

from orchestrator.crypto.server_trust import ServerTrust
from orchestrator.domain.errors import TocsinError, Unavailable

_GIVE_UP = 90.0  # seconds
_TIMEOUT = 90.0  # seconds; a backtest takes its time


class RetryingApi:
    """The API with one person's key, or without a key."""

    def __init__(self, url: str, key: str | None = None, trust: ServerTrust | None = None) -> None:
        self.trust = trust or ServerTrust()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            timeout=_TIMEOUT,
            trust_env=False,
            verify=self.trust.context(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.client.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """Return the JSON at a path."""
        given = {name: value for name, value in query.items() if value is not None}
        return await self._send("GET", path, params=given)

    async def post(self, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> Any:
        """Return the answer to a POST; a status in `accept` is not a failure."""
        return await self._send("POST", path, accept, json={} if body is None else body)

    async def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return every item of a list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, cursor=cursor, **query)
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    async def _send(
        self, method: str, path: str, accept: tuple[int, ...] = (), **request: Any
    ) -> Any:
        deadline = time.monotonic() + _GIVE_UP
        while True:
            try:
                reply = await self.client.request(method, path, **request)
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
            else:
                if reply.is_success or reply.status_code in accept:
                    return reply.json() if reply.content else None
                problem = f"{reply.status_code} {reply.text[:300]}"
                if not reply.is_server_error:
                    raise TocsinError(f"{method} {path}: {problem}")
            if time.monotonic() > deadline:
                raise Unavailable(f"{method} {path}: {problem}, for {_GIVE_UP:.0f} s")
            await asyncio.sleep(0.3)
