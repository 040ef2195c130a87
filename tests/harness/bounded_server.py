"""A server with the API's limits on connections, and nothing behind them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send

from api.limits.connections import ConnectionLimits
from api.limits.handshake import tls_protocol
from orchestrator.crypto.server_certificate import ServerCertificate

opened: list[asyncio.StreamWriter] = []


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
    """Yield the port and the limits of a server, which ends every connection in `opened`."""
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
        while opened:
            writer = opened.pop()
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await server.shutdown()
