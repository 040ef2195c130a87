"""The pool of open connectors, which keeps logins and TLS sessions of each connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from connectors.sdk.call import CallReport
from connectors.sdk.connector import Connector
from connectors.sdk.transport import Access

ConnectionObserver = Callable[[str, str, CallReport], None]
"""Receives each call with the names of its connection and connector. Raises nothing."""


class PoolKey(NamedTuple):
    """The key of an open connector."""

    name: str
    revision: str
    """Differs for every saved version of the connection, even if it was removed and added again."""
    access: Access


class ConnectionPool:
    """Open connectors by key. An earlier revision stays open, because a call may still use it."""

    def __init__(self) -> None:
        self._open: dict[PoolKey, Connector[Any]] = {}
        self.observer: ConnectionObserver | None = None

    def get(self, key: PoolKey, open_one: Callable[[], Connector[Any]]) -> Connector[Any]:
        """Return the open connector, or open one. Raises what `open_one` raises."""
        if key not in self._open:
            self._open[key] = connector = open_one()
            connector.observer = partial(self._report, key.name, connector.name)
        return self._open[key]

    def _report(self, connection: str, connector: str, report: CallReport) -> None:
        if self.observer is not None:
            self.observer(connection, connector, report)

    async def close(self) -> None:
        """Close every connector."""
        while self._open:
            _, connector = self._open.popitem()
            with suppress(OSError):
                await connector.aclose()
