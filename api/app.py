"""The composition root of the API: what it is made of, and how it is served."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import problems
from api.access_audit import Refusals
from api.container import Parts
from api.kill_switch_header import Switches
from api.metrics import Metrics
from api.middleware import Envelope
from api.routes import (
    alerts,
    approvals,
    assets,
    audit,
    backtests,
    breakers,
    connections,
    contacts,
    containments,
    debug_sessions,
    email_links,
    graphs,
    health,
    incidents,
    keys,
    kill_switches,
    own_infrastructure,
    playbook_checks,
    playbook_scaffold,
    playbook_tests,
    playbooks,
    policy,
    promotion,
    recordings,
    runs,
    shadow,
    slack,
    sources,
    tasks,
)
from api.temporal import TemporalLink
from orchestrator.authoring.debug.sessions import Sessions
from orchestrator.policy.stops.own_infrastructure import note_safely
from orchestrator.runs.background_dispatch import ClientProvider, Dispatcher
from orchestrator.runtime import Runtime, open_runtime
from orchestrator.settings import Settings

GUARDED = (
    alerts.router,
    incidents.router,
    runs.router,
    approvals.router,
    containments.router,
    tasks.router,
    playbook_checks.router,  # as the next
    backtests.router,
    graphs.router,  # before the playbooks, as is what follows: /v1/playbooks/graph is no playbook's name
    playbook_scaffold.router,
    promotion.router,
    shadow.router,
    playbook_tests.router,
    debug_sessions.router,
    recordings.router,
    playbooks.router,
    policy.router,
    kill_switches.router,
    breakers.router,
    assets.router,
    own_infrastructure.router,
    audit.router,
    sources.router,
    connections.router,
    keys.router,
    contacts.router,
)
"""Every route in these demands a permission."""

OPEN = (alerts.intake_router, health.router, slack.router)
"""Alerts and clicks in Slack prove by themselves who sent them; health says nothing that is not for all."""

PAGES = (email_links.router,)
"""For people in a browser, who come by a one-time link; not a part of the documented API."""

_VERSION = "1"
_DRAIN_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 1024


def create_app(rt: Runtime, client: ClientProvider) -> FastAPI:
    """The app on a runtime, which stays the caller's to close. `client` gives Temporal's, or None while that is down."""
    dispatcher = Dispatcher(rt, client)
    parts = Parts(
        rt, client, dispatcher, Metrics(), Refusals(rt), Switches(rt), Sessions(rt, client)
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await parts.debugging.close()
        await dispatcher.drained(_DRAIN_SECONDS)

    app = FastAPI(
        title="Tocsin",
        version=_VERSION,
        description="Incident response that plans, asks, applies, verifies and lifts, and can prove what it did.",
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.parts = parts
    for router in (*OPEN, *PAGES, *GUARDED):
        app.include_router(router)
    problems.install(app)
    app.add_middleware(Envelope, parts=parts)
    _document(app)
    return app


def serve(settings: Settings, sockets: list[socket] | None = None) -> None:
    """Serves until SIGTERM or SIGINT, then ends what it is at, for at most `shutdown_seconds`.

    `sockets`: those that a supervisor listens on already; else the configured host and port.
    """
    asyncio.run(_serve(settings, sockets))


async def _serve(settings: Settings, sockets: list[socket] | None) -> None:
    rt = open_runtime(settings)
    link = TemporalLink(rt)
    link.start()
    own = asyncio.create_task(note_safely(rt))
    try:
        await _Server(_config(create_app(rt, link.client), settings)).serve(sockets=sockets)
    finally:
        own.cancel()
        await asyncio.gather(own, return_exceptions=True)
        await link.close()
        await rt.close()


class _Server(uvicorn.Server):
    """Ends with its process alive, so that what was opened is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self.handle_exit, each, None)
        yield


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is behind a proxy is not ours to believe
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds) - 1),
    )


def _document(app: FastAPI) -> None:
    """OpenAPI as the app really answers: every error a problem, the framework's own error bodies left out."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _openapi(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _openapi(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    shown = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        shown.pop(name, None)
    problem = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    shown.update(problem.pop("$defs", {}))
    shown["Problem"] = problem
    return schema
