"""Debug sessions in tests: a draft, an alert in staging, and a client for an author's commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporalio.client import Client

from orchestrator.authoring.debug import sessions
from orchestrator.authoring.debug.request import BeginSession
from orchestrator.authoring.rehearsal.alert_fields import EMPTY_ALERT
from orchestrator.contracts.debug import DebugCommand, DebugState
from tests.harness.activity_rig import ActivityRig, alert
from tests.harness.temporal_rig import on_temporal

TEXT = """\
playbook: draft
version: 3
title: Contain
owner: soc
trigger: {when: alert.severity >= 4}
steps:
  - id: host
    use: edr.find_host
    with: {host: "${{ alert.host.name }}"}
  - id: contain
    parallel:
      - id: block
        use: firewall.block_address
        with: {address: "${{ alert.remote.address }}"}
        for: 24h
  - id: gone
    when: steps.host is none
    use: tickets.open
    with: {title: No host}
  - id: ticket
    use: tickets.open
    with: {title: "${{ steps.host.name }}: ${{ steps.block.summary }}"}
"""
ADDRESS = "185.220.101.7"
ALERT = {
    **EMPTY_ALERT,
    "id": "alert_w",
    "title": "beacon ${{ 1 + 1 }}",
    "severity": 5,
    "class": "c2_beacon",
    "host": {
        "id": None,
        "name": "mac-113",
        "address": "10.20.1.113",
        "kind": "workstation",
        "critical": False,
        "tags": [],
    },
    "remote": {"address": ADDRESS, "domain": None, "port": 443},
}


@dataclass(frozen=True, slots=True)
class DebugBench:
    """A staging installation with a worker, whose sessions belong to `eve`."""

    rig: ActivityRig
    client: Client

    async def begin(self, text: str = TEXT, **more: Any) -> DebugState:
        """Begin a session, on the stored alert unless another is given."""
        request = BeginSession(text=text, **{"alert_id": "alert_w", **more})
        return await sessions.begin_session(self.rig.rt, self.client, request, person="eve")

    async def say(self, state: DebugState, command: Any, **more: Any) -> DebugState:
        """Execute a command."""
        given = DebugCommand(command=command, **more)
        return await sessions.execute_command(
            self.rig.rt, self.client, state.id, given, person="eve"
        )

    async def state(self, state: DebugState) -> DebugState:
        """Return the state now."""
        return await sessions.get_session(self.client, state.id, person="eve")

    async def end(self, state: DebugState) -> DebugState:
        """End the session."""
        return await sessions.end_session(self.client, state.id, person="eve")


@asynccontextmanager
async def debug_bench(folder: Path) -> AsyncIterator[DebugBench]:
    """Open a staging installation with an alert, Temporal and a worker."""
    async with on_temporal(folder) as (bare, client):
        rig = await in_staging(bare)
        yield DebugBench(rig, client)


async def in_staging(rig: ActivityRig) -> ActivityRig:
    """Make an installation a staging one, with an alert that was received."""
    settings = rig.rt.settings.model_copy(update={"environment": "staging"})
    rig.rt = replace(rig.rt, settings=settings)
    await rig.add(alert("alert_w", view=ALERT, severity=5))
    return rig


def path(state: DebugState) -> str | None:
    """Return the path of the step before which a session is paused."""
    return state.at.path if state.at else None
