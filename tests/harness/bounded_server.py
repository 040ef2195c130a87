"""A server with the API's limits on connections, nothing behind them, and its clients."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from api.limits.connections import ConnectionLimits
from api.limits.handshake import tls_protocol
from orchestrator.crypto.server_certificate import ServerCertificate

HOST = "tocsin.corp.example"
"""The name in the server's certificate."""
READYZ = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
_opened: list[asyncio.StreamWriter] = []


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request without reading its body: 2 bytes, or 64 MiB at once or piece by piece."""
    del receive
    if scope["type"] != "http":
        return
    size = 2 if scope["path"] == "/readyz" else 64 * 1024 * 1024
    pieces = 64 if scope["path"] == "/pieces" else 1
    headers = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for number in range(1, pieces + 1):
        body, more = b"x" * (size // pieces), number < pieces
        await send({"type": "http.response.body", "body": body, "more_body": more})


@asynccontextmanager
async def serving(
    certificate: ServerCertificate | None = None, *, keep_alive: int = 15, **given: Any
) -> AsyncIterator[tuple[int, ConnectionLimits]]:
    """Yield the port and the limits of a server, which ends the connections of `connect`."""
    limits = ConnectionLimits(**{"most": 1000, "most_per_peer": 128, **given})
    config = uvicorn.Config(
        answer,
        host="0.0.0.0",
        port=0,
        http=tls_protocol(limits, certificate) if certificate else limits.protocol(),
        lifespan="off",
        log_config=None,
        ws="none",
        timeout_keep_alive=keep_alive,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server.servers[0].sockets[0].getsockname()[1], limits
    finally:
        while _opened:
            writer = _opened.pop()
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await server.shutdown()


async def connect(
    port: int, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = HOST if tls else None
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(source, 0), ssl=tls, server_hostname=name
    )
    _opened.append(writer)
    return reader, writer


async def ask(port: int, tls: ssl.SSLContext | None = None, source: str = "127.0.0.1") -> bytes:
    """Return the status line of the answer to a request on a connection of its own."""
    async with asyncio.timeout(10):
        reader, writer = await connect(port, tls, source)
        writer.write(READYZ)
        status = await reader.readline()
        writer.close()
        return status


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def until_closed(reader: asyncio.StreamReader) -> None:
    """Return once the server has closed the connection. Raise TimeoutError."""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass
