"""How does the demo use the API while parts of the stack may be killed? It asks again until there is an answer."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any, Self

import httpx

from orchestrator.domain.errors import TocsinError, Unavailable

_GIVE_UP = 90.0  # seconds


class Api:
    """One person's view of the API."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)

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
        """The JSON at a path."""
        return await self._ask(
            "GET", path, params={name: value for name, value in query.items() if value is not None}
        )

    async def post(self, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> Any:
        """What a POST answers; a status in `accept` is no failure."""
        return await self._ask("POST", path, accept, json={} if body is None else body)

    async def items(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, cursor=cursor, **query)
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    async def _ask(
        self, method: str, path: str, accept: tuple[int, ...] = (), **request: Any
    ) -> Any:
        deadline = time.monotonic() + _GIVE_UP
        while True:
            try:
                reply = await self.client.request(method, path, **request)
            except httpx.HTTPError as error:
                said = str(error) or type(error).__name__
            else:
                if reply.is_success or reply.status_code in accept:
                    return reply.json() if reply.content else None
                said = f"{reply.status_code} {reply.text[:300]}"
                if not reply.is_server_error:
                    message = f"{method} {path}: {said}"
                    raise TocsinError(message)
            if time.monotonic() > deadline:
                message = f"{method} {path}: {said}, for {_GIVE_UP:.0f} s"
                raise Unavailable(message)
            await asyncio.sleep(0.3)
