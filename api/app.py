"""The composition root of the API: the routers, the app, and the server that runs it."""

from __future__ import annotations

import asyncio
import dataclasses
import resource
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from socket import socket

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import problems
from api.access_audit import AccessAudit
from api.client_address import parse_networks
from api.compression import Compression
from api.container import Container
from api.limits.connections import ConnectionLimits
from api.limits.deliveries import DeliveryLimits
from api.limits.handshake import tls_protocol
from api.limits.rates import Rates
from api.methods import Methods
from api.metrics import Metrics
from api.middleware import ResponseMiddleware
from api.openapi import install_document, operation_id
from api.routes import health, index, webhooks
from api.routes.administer import (
    audit,
    connections,
    connectors,
    contacts,
    enrolments,
    keys,
    me,
    people,
    rejected_deliveries,
    sources,
)
from api.routes.author import (
    authoring,
    backtests,
    debug_sessions,
    graphs,
    playbooks,
    promotion,
    recordings,
    shadows,
)
from api.routes.protect import assets, breakers, kill_switches, own_infrastructure, policy
from api.routes.respond import (
    alerts,
    approval_batches,
    approvals,
    containments,
    email_links,
    incidents,
    runs,
    search,
    slack,
    tasks,
)
from api.state_headers import StateHeaders
from api.temporal import TemporalLink
from orchestrator.crypto.server_certificate import ServerCertificate, server_certificate
from orchestrator.incidents.refused_rows import report_refused_rows
from orchestrator.installation.open import open_existing
from orchestrator.policy.stops.own_infrastructure import record_own_safely
from orchestrator.runs.background_dispatch import BackgroundDispatcher, ClientProvider
from orchestrator.runtime import Runtime
from orchestrator.sandbox.limits import TESTS
from orchestrator.sandbox.process import SandboxProcess
from orchestrator.settings import Settings

GUARDED = (
    alerts.router,
    incidents.router,
    runs.router,
    approvals.router,
    approval_batches.router,
    containments.router,
    tasks.router,
    search.router,
    authoring.router,
    backtests.router,
    graphs.router,
    promotion.router,
    shadows.router,
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
    rejected_deliveries.router,
    connections.router,
    connectors.router,
    me.router,
    people.router,
    keys.router,
    contacts.router,
)
"""Routers whose routes each require a permission."""

OPEN = (webhooks.router, health.router, index.router, slack.router, enrolments.router)
"""Routers without API keys: requests are signed, carry a code, or tell nothing confidential."""

PAGES = (email_links.router, enrolments.pages)
"""Pages for people who follow a one-time link; not part of the documented API."""

_VERSION = "1"
_DRAIN_SECONDS = 1.0
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 1024
_SPARE_FILES = 256  # for the database, logs, pipes and Temporal

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    rt: Runtime, client: ClientProvider, certificate: ServerCertificate | None = None
) -> FastAPI:
    """Return the app on a runtime, which the caller closes.

    `client` returns None while Temporal is down. `certificate`: the one that it is served with.
    """
    metrics = Metrics(certificate)
    rt.store.on_events = metrics.count_events
    container = Container(
        rt=rt,
        client=client,
        dispatcher=BackgroundDispatcher(rt, client),
        metrics=metrics,
        access_audit=AccessAudit(rt),
        state=StateHeaders(rt),
        rates=Rates(rt.settings),
        deliveries=DeliveryLimits(rt.settings),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await container.dispatcher.drain(_DRAIN_SECONDS)

    app = describe_app(lifespan)
    app.state.container = container
    problems.install_handlers(app)
    app.add_middleware(Compression)
    app.add_middleware(ResponseMiddleware, container=container)
    return app


def describe_app(lifespan: Lifespan | None = None) -> FastAPI:
    """Return the app with nothing behind its routes, for the OpenAPI document."""
    app = FastAPI(
        title="Tocsin",
        version=_VERSION,
        description="Incident response that plans, asks, applies, verifies and lifts changes, "
        "and can prove what it did.",
        openapi_url=None,  # `install_document` serves it
        docs_url=None,  # the pages would load scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,  # a path has one spelling
        generate_unique_id_function=operation_id,
    )
    for router in (*OPEN, *PAGES, *GUARDED):
        app.include_router(router)
    app.state.methods = Methods(
        route
        for router in (*OPEN, *PAGES, *GUARDED)
        for route in router.routes
        if isinstance(route, APIRoute)
    )
    install_document(app)
    return app


def serve(settings: Settings, sockets: list[socket] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then finish open requests within `shutdown_seconds`.

    `sockets`: those that a supervisor listens on already; otherwise the configured host and port.
    Raise Invalid for a certificate that cannot be used.
    """
    asyncio.run(_serve(settings, sockets))


async def _serve(settings: Settings, sockets: list[socket] | None) -> None:
    certificate = server_certificate(settings.tls_cert, settings.tls_key)
    rt = dataclasses.replace(
        await open_existing(settings),
        sandbox=SandboxProcess(),
        tests_sandbox=SandboxProcess(TESTS),
    )
    report_refused_rows(rt)
    link = TemporalLink(rt)
    link.start()
    infrastructure = asyncio.create_task(record_own_safely(rt))
    try:
        app = create_app(rt, link.client, certificate)
        await _Server(_config(app, settings, certificate)).serve(sockets=sockets)
    finally:
        infrastructure.cancel()
        await asyncio.gather(infrastructure, return_exceptions=True)
        await link.close()
        await rt.close()


class _Server(uvicorn.Server):
    """A server that returns on a signal, so that the runtime can be closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _limits(settings: Settings) -> ConnectionLimits:
    """Return the limits on connections, with as many file descriptors as they need."""
    most, hard = settings.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = most + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        most, wanted = max(1, hard - _SPARE_FILES), hard
    soft = max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    proxies = parse_networks(settings.trusted_proxies)
    return ConnectionLimits(most, settings.connections_per_address, proxies)


def _config(
    app: FastAPI, settings: Settings, certificate: ServerCertificate | None
) -> uvicorn.Config:
    limits = _limits(settings)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=tls_protocol(limits, certificate) if certificate else limits.protocol(),
        log_level="warning",
        log_config=None,  # its lines take the form of all others
        access_log=False,
        server_header=False,
        proxy_headers=False,  # ResponseMiddleware reads them, as far as trusted proxies wrote them
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds) - 1),
    )
