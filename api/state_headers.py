"""The response headers that report the state of the installation: kill switches and the trail."""

from __future__ import annotations

from urllib.parse import quote

from api.recent_state import RecentState
from orchestrator.audit.state import TrailState
from orchestrator.incidents.trail_health import trail_health
from orchestrator.policy.stops.kill_switches import KillSwitchView, list_switches
from orchestrator.runtime import Runtime
from orchestrator.store.authentic import RowRefused

KILL_SWITCH_HEADER = "Tocsin-Kill-Switch"
AUDIT_HEADER = "Tocsin-Audit"
NOT_BELIEVED = "global;releases;altered"
"""Another hand wrote or deleted a kill switch: nothing is changed until a person has seen to it."""
_MAX_NAMED = 20


class StateHeaders:
    """The headers, from state that is read at most once or twice a second."""

    def __init__(self, rt: Runtime) -> None:
        self.kill_switches: RecentState[tuple[KillSwitchView, ...] | None] = RecentState(
            "kill switches", lambda: _believed(rt), (), fresh_seconds=0.5
        )
        self.trail: RecentState[TrailState] = RecentState(
            "audit trail", lambda: trail_health(rt), TrailState(), fresh_seconds=1.0
        )

    async def headers(self) -> dict[str, str]:
        """Return the headers: one for engaged kill switches, one for a broken audit trail."""
        found = {}
        switches = await self.kill_switches.get()
        if switches is None:
            found[KILL_SWITCH_HEADER] = NOT_BELIEVED
        elif switches:
            found[KILL_SWITCH_HEADER] = _kill_switches(switches)
        if not (await self.trail.get()).is_intact:
            found[AUDIT_HEADER] = "broken"
        return found


async def _believed(rt: Runtime) -> tuple[KillSwitchView, ...] | None:
    try:
        return await list_switches(rt)
    except RowRefused:  # the store reports it; no answer fails because of it
        return None


def _kill_switches(switches: tuple[KillSwitchView, ...]) -> str:
    """Return the switches, separated by commas.

    `global`, `connection=firewall`, `source=siem;releases` (stops releases too).
    """
    hidden = len(switches) - _MAX_NAMED
    texts = [*map(_text, switches[:_MAX_NAMED]), *([f"and {hidden} more"] if hidden > 0 else [])]
    return ", ".join(texts)


def _text(switch: KillSwitchView) -> str:
    name = quote(switch.name, safe="")[:100]
    text = switch.scope if switch.name == "*" else f"{switch.scope}={name}"
    return f"{text};releases" if switch.stop_releases else text
