"""The devices: emulators that keep a journal of every change in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request

from connectors.crowdstrike.connector import CrowdStrike
from connectors.crowdstrike.emulator import CrowdStrikeEmulator
from connectors.palo_alto.connector import PaloAlto
from connectors.palo_alto.emulator import PaloAltoEmulator
from connectors.sdk.emulator import Emulator

Kind = Literal["up", "down", "hand", "forgot"]
_KINDS: dict[str, Kind] = {
    "register": "up",
    "contain": "up",
    "unregister": "down",
    "lift_containment": "down",
}


@dataclass
class Journal:
    """All changes of all devices, oldest first, as (kind, target)."""

    entries: list[tuple[Kind, str]] = field(default_factory=list)
    on_change: Callable[[Kind, str], None] = lambda _kind, _target: None  # called at each change

    def add(self, kind: Kind, target: str) -> None:
        self.entries.append((kind, target))
        self.on_change(kind, target)

    def of(self, target: str) -> list[Kind]:
        return [kind for kind, name in self.entries if name == target]


class JournalingEmulator:
    """An emulator that journals its changes, and removes those that a lying reply reverts."""

    journal: Journal

    def record_effect(
        self, request: Request | None, action: str, target: str, key: str | None = None
    ) -> None:
        super().record_effect(request, action, target, key)  # type: ignore[misc]
        self.journal.add(_KINDS[action], target)

    def snapshot(self) -> Any:
        return {**super().snapshot(), "entries": list(self.journal.entries)}  # type: ignore[misc]

    def restore(self, snapshot: Any) -> None:
        self.journal.entries[:] = snapshot["entries"]
        super().restore({name: value for name, value in snapshot.items() if name != "entries"})  # type: ignore[misc]


class JournalingFirewall(JournalingEmulator, PaloAltoEmulator):
    """Addresses."""

    def put(self, target: str, *, shown: bool) -> None:
        """Contain by hand, or lose the containment."""
        self.tags.pop(target, None)
        if shown:
            self.tags[target] = [self.tag]

    def shows(self, target: str) -> bool:
        return self.tag in self.tags.get(target, [])


class JournalingFalcon(JournalingEmulator, CrowdStrikeEmulator):
    """Hosts, which show a containment at the second read."""

    def put(self, target: str, *, shown: bool) -> None:
        self._named(target).update(status="contained" if shown else "normal", looks=0, since=0.0)

    def shows(self, target: str) -> bool:
        return bool(self._named(target)["status"] != "normal")

    def _named(self, target: str) -> dict[str, Any]:
        return next(
            device for device in self.devices.values() if device["hostname"].lower() == target
        )


Device = JournalingFirewall | JournalingFalcon
SYSTEMS: dict[str, tuple[type[Any], type[Emulator]]] = {
    "firewall": (PaloAlto, JournalingFirewall),
    "edr": (CrowdStrike, JournalingFalcon),
}
