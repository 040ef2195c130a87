"""Real servers on the loopback, and assertion rewriting for the inherited contract."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp

pytest.register_assert_rewrite("connectors.contract")


@asynccontextmanager
async def serving(app: ASGIApp, **options: Any) -> AsyncIterator[str]:
    """Serve the app on a free port of the loopback and yield its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", ws="none", **options)
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        scheme = "https" if "ssl_certfile" in options else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


@pytest.fixture
def serve() -> Callable[[ASGIApp], AbstractAsyncContextManager[str]]:
    """Return a context manager: `async with serve(app) as url`."""
    return serving


@pytest.fixture
async def running_echo() -> AsyncIterator[str]:
    """Serve an app that answers with the request's Host."""

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse({"host": request.headers["host"]})

    async with serving(Starlette(routes=[Route("/x", echo)])) as url:
        yield url
