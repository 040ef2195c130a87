"""A reverse proxy that serves an app below a path and passes requests on without it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_HOP_BY_HOP = {"connection", "content-length", "date", "server", "transfer-encoding"}


@asynccontextmanager
async def below_path(app: ASGIApp, prefix: str) -> AsyncIterator[str]:
    """Serve an app over HTTP behind a proxy. Yield the proxy's address, with the prefix."""
    async with _served(app) as inner, httpx.AsyncClient(base_url=inner) as upstream:

        async def forward(request: Request) -> Response:
            url = httpx.URL(
                path=f"/{request.path_params['rest']}", query=request.url.query.encode()
            )
            headers = {**request.headers, "host": upstream.base_url.netloc.decode()}
            answer = await upstream.request(
                request.method, url, headers=headers, content=await request.body()
            )
            kept = {
                name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP
            }
            return Response(answer.content, answer.status_code, headers=kept)

        proxy = Starlette(routes=[Route(f"{prefix}/{{rest:path}}", forward, methods=_METHODS)])
        async with _served(proxy) as outer:
            yield f"{outer}{prefix}"


@asynccontextmanager
async def _served(app: ASGIApp) -> AsyncIterator[str]:
    options = uvicorn.Config(app, port=0, log_level="error", ws="none", lifespan="off")
    server = uvicorn.Server(options)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # pytest has its own
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # uvicorn has no event for it
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
