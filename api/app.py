"""The composition root of the API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from socket import socket

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint
from temporalio.client import Client
from temporalio.service import RPCError

from api import problems
from api.dependencies import Held
from api.routes import alerts, approvals, audit, configuration, containments, health, runs
from orchestrator.runs.client import connect
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings

ROUTERS = (alerts.router, runs.router, approvals.router, containments.router, configuration.router, audit.router, health.router)
RECONNECT_SECONDS = 1.0
_log = structlog.get_logger(__name__)


def create_app(rt: Runtime, client: Callable[[], Client | None]) -> FastAPI:
    """The application on a runtime. `client`: Temporal's, or None while it is away."""
    app = FastAPI(title="Tocsin", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.held = Held(rt, client)
    problems.install(app)
    app.middleware("http")(_headers)
    for router in ROUTERS:
        app.include_router(router)
    return app


def serve(settings: Settings, listening: socket | None = None) -> None:
    """Serves until SIGTERM or SIGINT, on the socket that a supervisor listens on already, where given. Needs no Temporal to take alerts."""
    asyncio.run(_serve(settings, listening))


async def _serve(settings: Settings, listening: socket | None) -> None:
    rt = open_runtime(settings)
    found: list[Client] = []
    app = create_app(rt, lambda: found[0] if found else None)
    app.router.lifespan_context = _lifespan(rt, found)
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=8
    )
    await uvicorn.Server(config).serve(sockets=[listening] if listening else None)


def _lifespan(rt: Runtime, found: list[Client]) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        connecting = asyncio.create_task(_connect(rt, found))
        yield
        connecting.cancel()
        with suppress(asyncio.CancelledError):
            await connecting
        await rt.close()

    return lifespan


async def _connect(rt: Runtime, found: list[Client]) -> None:
    while not found:
        try:
            found.append(await connect(rt))
        except (RPCError, RuntimeError, OSError):
            await asyncio.sleep(RECONNECT_SECONDS)


async def _headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
