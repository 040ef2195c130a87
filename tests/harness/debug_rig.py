"""What do tests of debug sessions share? A draft, an alert that came in staging, and how its author speaks to a session."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.authoring.debug.sessions import Begin, Sessions
from orchestrator.authoring.debug.state import Command, DebugState
from orchestrator.authoring.rehearsal.alert_fields import BARE
from tests.harness.activity_rig import Rig, alert

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
    with: {title: Nobody}
  - id: ticket
    use: tickets.open
    with: {title: "${{ steps.host.name }}: ${{ steps.block.summary }}"}
"""
ADDRESS = "185.220.101.7"
SEEN = {
    **BARE, "id": "alert_w", "title": "beacon ${{ 1 + 1 }}", "severity": 5, "class": "c2_beacon",
    "host": {"id": None, "name": "mac-113", "address": "10.20.1.113", "kind": "workstation", "critical": False, "tags": []},
    "remote": {"address": ADDRESS, "domain": None, "port": 443},
}  # fmt: skip


async def opened(made: Rig) -> Rig:
    """In staging, with an alert that came."""
    made.rt = replace(
        made.rt, settings=made.rt.settings.model_copy(update={"environment": "staging"})
    )
    await made.add(alert("alert_w", view=SEEN, severity=5))
    return made


async def begun(sessions: Sessions, text: str = TEXT, **more: Any) -> DebugState:
    return await sessions.begin(Begin(text=text, **{"alert_id": "alert_w", **more}), person="eve")


async def say(sessions: Sessions, state: DebugState, command: Any, **more: Any) -> DebugState:
    return await sessions.told(state.id, Command(command=command, **more), person="eve")


def path(state: DebugState) -> str | None:
    return state.at.path if state.at else None
