"""Which connectors are open? One per saved connection and access, kept so that logins and TLS sessions are used again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from connectors.sdk.connector import Connector
from connectors.sdk.http import Access


class Slot(NamedTuple):
    """What an open connector is found by. Each saving has a `saved` of its own, even after the connection was removed and added anew."""

    name: str
    saved: str
    access: Access


class ConnectionPool:
    """Open connectors. Those of an earlier saving stay until the end, as a call may still be using them."""

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
