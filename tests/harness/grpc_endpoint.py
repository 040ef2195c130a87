"""A gRPC endpoint over TLS that answers every call alike, and keeps the metadata."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.events

from tests.harness.certificates import CertificateFiles

OK, UNAUTHENTICATED = 0, 16
_EMPTY = bytes(5)  # an empty message in the framing of gRPC


class GrpcEndpoint(asyncio.Protocol):
    """One connection. Calls end with `status`; their headers are appended to `seen`."""

    def __init__(
        self, status: int, seen: list[dict[str, str]], connections: set[asyncio.Transport]
    ) -> None:
        self._status, self._seen, self._connections = status, seen, connections
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                pairs = [(name.decode(), value.decode()) for name, value in event.headers]
                self._seen.append(dict(pairs))
                start = [(":status", "200"), ("content-type", "application/grpc")]
                self._h2.send_headers(event.stream_id, start)
                if self._status == OK:
                    self._h2.send_data(event.stream_id, _EMPTY)
                end = [("grpc-status", str(self._status))]
                self._h2.send_headers(event.stream_id, end, end_stream=True)
        self._transport.write(self._h2.data_to_send())


@asynccontextmanager
async def grpc_endpoint(
    files: CertificateFiles, status: int
) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """Yield the address of an endpoint, and the headers of the calls that it got."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.set_alpn_protocols(["h2"])
    seen: list[dict[str, str]] = []
    connections: set[asyncio.Transport] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: GrpcEndpoint(status, seen, connections), "127.0.0.1", 0, ssl=context
    )
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        for connection in list(connections):
            connection.abort()
        while connections:
            await asyncio.sleep(0)
