"""A sink that speaks syslog over TLS (RFC 5424, RFC 5425): one message per line of the trail."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from orchestrator.audit.sinks.sink import SEND_SECONDS, SinkDelivery, SinkUnavailable
from orchestrator.domain.audit_event import canonical_time
from orchestrator.domain.clock import Clock

_PRIORITY = 13 * 8 + 5  # facility: log audit; severity: notice


class SyslogSink:
    """A receiver of syslog, which acknowledges nothing: what the connection took is received."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, clock: Clock) -> None:
        self.name = f"syslog+tls://{host}:{port}"
        self._host, self._port, self._tls, self._clock = host, port, tls, clock

    async def send(self, delivery: SinkDelivery) -> None:
        """Write all messages over a new connection, and close it cleanly."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                _, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
                try:
                    for line in delivery.lines:
                        writer.write(self._frame(line.removesuffix(b"\n")))
                        await writer.drain()
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, EOFError) as error:  # TimeoutError and SSLError are OSErrors
            raise SinkUnavailable(f"{self.name}: {type(error).__name__}: {error}") from error

    def _frame(self, line: bytes) -> bytes:
        kind = line[2 : line.find(b'"', 2)].decode("ascii", "replace")
        host = socket.gethostname()[:255] or "-"
        origin = f"{canonical_time(self._clock())} {host} tocsin {os.getpid()}"
        head = f"<{_PRIORITY}>1 {origin} audit-{kind} - "
        message = head.encode("ascii", "replace") + line
        return str(len(message)).encode() + b" " + message
