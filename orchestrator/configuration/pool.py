"""Which connectors are open? One per saved connection and access, kept so that logins and TLS sessions are used again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from connectors.sdk.connector import Connector
from connectors.sdk.http import Access
from orchestrator.store.tables import ConnectionRow


class Slot(NamedTuple):
    """What an open connector is found by. Each saving has a `saved` of its own, even after the connection was removed and added anew."""

    name: str
    saved: str
    access: Access


def slot(row: ConnectionRow, access: Access) -> Slot:
    """Where the connector of a saved connection belongs. What is sealed differs each time, even for the same secret."""
    return Slot(row.name, hashlib.sha256(row.secrets).hexdigest(), access)


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
