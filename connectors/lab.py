"""The lab: every emulator under one loopback address, with their state and fault injection."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.jira.emulator import JiraEmulator
from connectors.okta.emulator import OktaEmulator
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.sdk.emulator import Emulator
from connectors.sdk.faults import ABORT, Fault
from connectors.slack.emulator import SlackEmulator
from connectors.virustotal.emulator import VirusTotalEmulator

EMULATORS: tuple[type[Emulator], ...] = (
    PaloAltoEmulator,
    CrowdStrikeEmulator,
    OktaEmulator,
    JiraEmulator,
    SlackEmulator,
    VirusTotalEmulator,
)


class LabApp(Starlette):
    """An application that can drop a client's connection, like a machine that loses power."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request with the connection's `abort` in the scope."""
        abort = _abort_of(send)
        if abort is not None:
            scope[ABORT] = abort
        await super().__call__(scope, receive, send)


def lab_app(state_file: Path | None = None) -> LabApp:
    """Return the lab: each emulator under `/{name}`, and `/_lab/{state,faults,reset}`.

    It has no authentication, so serve it on the loopback only. With `state_file`, states and
    effects survive the process: they are written after every effect, before the reply.
    """
    emulators = {cls.name: cls() for cls in EMULATORS}
    if state_file is not None:
        _persist(emulators, state_file)
    lab = _Lab(emulators)
    routes: list[Route | Mount] = [
        Route("/_lab/state", lab.state),
        Route("/_lab/faults", lab.add_fault, methods=["POST"]),
        Route("/_lab/faults", lab.clear_faults, methods=["DELETE"]),
        Route("/_lab/reset", lab.reset, methods=["POST"]),
    ]
    app = LabApp(
        routes=[
            *routes,
            *(Mount(f"/{name}", app=emulator.app()) for name, emulator in emulators.items()),
        ]
    )
    app.state.emulators = emulators
    return app


def lab_settings(lab_url: str) -> dict[str, dict[str, Any]]:
    """Return, by connector, the settings that reach its emulator in the lab at `lab_url`.

    `lab_url` has no trailing slash.
    """
    return {cls.name: cls.settings(f"{lab_url}/{cls.name}") for cls in EMULATORS}


class _Lab:
    """The lab's own endpoints."""

    def __init__(self, emulators: dict[str, Emulator]) -> None:
        self._emulators = emulators

    async def state(self, _request: Request) -> Response:
        return JSONResponse({name: emulator.state() for name, emulator in self._emulators.items()})

    async def add_fault(self, request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse(
                {
                    "error": error.errors(
                        include_url=False, include_context=False, include_input=False
                    )
                },
                422,
            )
        if fault.emulator not in self._emulators:
            known = ", ".join(self._emulators)
            return JSONResponse({"error": f"no emulator {fault.emulator!r}; use {known}"}, 404)
        self._emulators[fault.emulator].faults.append(fault)
        return JSONResponse(fault.model_dump(), 201)

    async def clear_faults(self, _request: Request) -> Response:
        for emulator in self._emulators.values():
            emulator.faults.clear()
        return Response(status_code=204)

    async def reset(self, _request: Request) -> Response:
        for emulator in self._emulators.values():
            emulator.reset()
        return Response(status_code=204)


def _persist(emulators: dict[str, Emulator], state_file: Path) -> None:
    """Load the state of an earlier process, then write it after every change."""
    if state_file.exists():
        saved = json.loads(state_file.read_text("utf-8"))
        for name, emulator in emulators.items():
            if name in saved:
                emulator.restore(saved[name])

    def write() -> None:
        new = state_file.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump({name: emulator.snapshot() for name, emulator in emulators.items()}, file)
        os.replace(new, state_file)  # noqa: PTH105  # atomic, as its documentation says

    for emulator in emulators.values():
        emulator.on_change = write


def _abort_of(send: Send) -> Callable[[], None] | None:
    """Return the function that closes the connection, None where the server has no such function.

    uvicorn's `send` is a method of the exchange, which has the transport.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    abort = getattr(transport, "abort", None)
    return abort if callable(abort) else None
