"""Which connectors are open? One per connection, revision and access, kept so that logins and TLS sessions are used again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from connectors.sdk.connector import Connector
from connectors.sdk.http import Access


class Slot(NamedTuple):
    """What an open connector is found by. A saved connection has a new revision, and so a new connector."""

    name: str
    revision: int
    access: Access


class ConnectionPool:
    """Open connectors. Those of an older revision stay until the end, as a call may still be using them."""

    def __init__(self) -> None:
        self._open: dict[Slot, Connector[Any]] = {}

    def get(self, slot: Slot, make: Callable[[], Connector[Any]]) -> Connector[Any]:
        """The open connector, made where there is none. Raises what `make` raises."""
        if slot not in self._open:
            self._open[slot] = make()
        return self._open[slot]

    async def close(self) -> None:
        """Close all."""
        while self._open:
            _, connector = self._open.popitem()
            with suppress(OSError):
                await connector.aclose()
