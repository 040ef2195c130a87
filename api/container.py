"""What do the routes stand on? Made once by the composition root, found by each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request
from temporalio.client import Client

from orchestrator.authoring.debug.sessions import Sessions
from orchestrator.runs.background_dispatch import ClientProvider, Dispatcher
from orchestrator.runtime import Runtime

if TYPE_CHECKING:
    from api.access_audit import Refusals
    from api.kill_switch_header import Switches
    from api.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Parts:
    """One of each per process."""

    rt: Runtime
    client: ClientProvider
    dispatcher: Dispatcher
    metrics: Metrics
    refusals: Refusals
    switches: Switches
    debugging: Sessions


def parts(request: Request) -> Parts:
    """Those of this app."""
    return cast("Parts", request.app.state.parts)


def _runtime(request: Request) -> Runtime:
    return parts(request).rt


def _client(request: Request) -> Client | None:
    return parts(request).client()


def _debugging(request: Request) -> Sessions:
    return parts(request).debugging


Rt = Annotated[Runtime, Depends(_runtime)]
Temporal = Annotated[Client | None, Depends(_client)]
Debugging = Annotated[Sessions, Depends(_debugging)]
