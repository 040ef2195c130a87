"""The services of one API process: built by the composition root, found by each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request
from temporalio.client import Client

from orchestrator.runs.background_dispatch import BackgroundDispatcher, ClientProvider
from orchestrator.runtime import Runtime

if TYPE_CHECKING:
    from api.access_audit import AccessAudit
    from api.limits.deliveries import DeliveryLimits
    from api.limits.rates import Rates
    from api.metrics import Metrics
    from api.state_headers import StateHeaders


@dataclass(frozen=True, slots=True)
class Container:
    """What the routes depend on, one of each per process."""

    rt: Runtime
    client: ClientProvider
    dispatcher: BackgroundDispatcher
    metrics: Metrics
    access_audit: AccessAudit
    state: StateHeaders
    rates: Rates
    deliveries: DeliveryLimits


def container_of(request: Request) -> Container:
    """Return the container of the app that serves the request."""
    return cast("Container", request.app.state.container)


def _runtime(request: Request) -> Runtime:
    return container_of(request).rt


def _client(request: Request) -> Client | None:
    return container_of(request).client()


Rt = Annotated[Runtime, Depends(_runtime)]
"""The runtime, as a parameter of a route."""
Temporal = Annotated[Client | None, Depends(_client)]
"""The Temporal client, as a parameter of a route; None while Temporal is down."""
