"""TLS handshakes of the API: they count as connections, and are as bounded in time.

asyncio makes a protocol known to its application after the handshake only. Until then nothing would
count the connection, and it would stay for a minute.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.utils import get_remote_addr

from api.limits.connections import BoundedConnection, ConnectionLimits
from orchestrator.crypto.server_certificate import ServerCertificate

SHUTDOWN_SECONDS = 5.0
"""How long a client may take to confirm the end of a connection."""


class TlsHandshake(asyncio.Protocol):
    """A connection until its handshake is over, from when on it is a `BoundedConnection`."""

    def __init__(
        self, limits: ConnectionLimits, certificate: ServerCertificate, **named: Any
    ) -> None:
        self._limits, self._certificate, self._named = limits, certificate, named
        self._open: set[Any] = named["server_state"].connections
        self._peer: str | None = None
        self._early = bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as of TCP
        """Refuse a connection over the limits, and begin the handshake otherwise."""
        self._transport = transport
        address = get_remote_addr(transport)
        self._peer = address[0] if address else ""
        if not self._limits.admit(self._peer):
            transport.abort()  # an answer would cost a handshake
            return
        self._open.add(self)
        transport.pause_reading()  # `start_tls` reads on, once TLS takes the bytes
        self._task = asyncio.get_running_loop().create_task(self._secure(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what a client sent right behind its part of the handshake, decrypted."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        del exc
        self._leave()

    def shutdown(self) -> None:
        """End the connection, as the server ends."""
        if self._transport is not None:
            self._transport.abort()

    async def _secure(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._certificate.context(),
                server_side=True,
                ssl_handshake_timeout=self._limits.head_seconds,
                ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            )
        except OSError:  # not TLS, no version or cipher in common, too slow, or gone
            return
        finally:
            self._leave()
        if secured is not None and not secured.is_closing():
            self._hand_over(secured)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        connection = BoundedConnection(self._limits, **self._named)
        secured.set_protocol(connection)
        connection.connection_made(secured)
        if self._early:
            connection.data_received(bytes(self._early))

    def _leave(self) -> None:
        self._open.discard(self)
        if self._peer is not None:
            self._limits.leave(self._peer)
            self._peer = None


def tls_protocol(limits: ConnectionLimits, certificate: ServerCertificate) -> Any:
    """Return the factory of protocols that a uvicorn config takes as `http`, for TLS."""
    return partial(TlsHandshake, limits, certificate)
