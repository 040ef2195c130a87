"""Connections of the API: how many one peer and all together have, and how long each may idle.

uvicorn bounds the idle time after a response only. A connection that sends nothing, or a byte now
and then, would stay, and so would one whose client does not read.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from api.client_address import Networks

HEAD_SECONDS = 10.0
"""How long a request's head may take, from the first moment or the end of the request before."""
WRITE_SECONDS = 30.0
"""How long a client may read nothing of what it is sent."""

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
    b"Connection: close\r\n\r\n"
)


@dataclass(slots=True)
class ConnectionLimits:
    """The connections of one API process, counted by peer."""

    most: int
    most_per_peer: int
    proxies: Networks = ()
    """Trusted proxies, whose connections are those of many clients."""
    head_seconds: float = HEAD_SECONDS
    write_seconds: float = WRITE_SECONDS
    open: Counter[str] = field(default_factory=Counter)

    def protocol(self) -> Any:
        """Return the factory of protocols that a uvicorn config takes as `http`."""
        return partial(BoundedConnection, self)

    def admit(self, peer: str) -> bool:
        """Count a connection, and return whether it may stay."""
        self.open[peer] += 1
        return self.open.total() <= self.most and (
            self.open[peer] <= self.most_per_peer or self._is_proxy(peer)
        )

    def leave(self, peer: str) -> None:
        """Count a connection no more."""
        self.open[peer] -= 1
        if self.open[peer] <= 0:
            del self.open[peer]

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer.partition("%")[0])
        except ValueError:
            return False  # a Unix socket has no address
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self.proxies)


class BoundedConnection(H11Protocol):
    """An HTTP connection that is refused over the limits, and closed when it idles too long."""

    def __init__(self, limits: ConnectionLimits, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._limits = limits
        self._peer: str | None = None
        self._head: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as h11's is
        """Refuse a connection over the limits, and wait for a head otherwise."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        if not self._limits.admit(self._peer):
            transport.write(_BUSY)
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self._cancel()
        if self._peer is not None:
            self._limits.leave(self._peer)
            self._peer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read. The deadline of a head, or of the rest of a body, does not move with its bytes."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._is_answering():
            self._cancel_head()
        elif self._head is None:
            self._await_head()

    def pause_writing(self) -> None:
        """Give the client time to read."""
        super().pause_writing()
        if self._stuck is None:
            seconds = self._limits.write_seconds
            self._stuck = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Take the deadline back, as the client reads."""
        super().resume_writing()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._cancel_head()
        self._head = self.loop.call_later(self._limits.head_seconds, self.transport.abort)

    def _cancel_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _cancel(self) -> None:
        self._cancel_head()
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
