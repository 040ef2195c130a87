"""The observer: notes when the lab's firewall shows an address, and when no longer."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.harness.stack import Stack

_PAUSE = 0.1


@dataclass
class Sighting:
    """A time in which the firewall showed an address. Seconds since the epoch."""

    first: float
    last: float
    gone: float | None = None
    """When it was first seen to be gone."""


@dataclass
class Observer:
    """Reads the lab's state ten times a second, past Tocsin."""

    stack: Stack
    seen: dict[str, list[Sighting]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        """Begin to observe."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def shown(self) -> set[str]:
        """Return the addresses that the firewall shows now."""
        return set(self.stack.lab()["palo_alto"]["in_force"]["addresses"])

    def _look(self) -> None:
        while not self._ended.wait(_PAUSE):
            before = time.time()
            try:
                shown = self.shown()
            except (httpx.HTTPError, OSError, ValueError):  # the lab is down
                continue
            self._note(shown, before, time.time())

    def _note(self, shown: set[str], before: float, after: float) -> None:
        for address in shown:
            times = self.seen.setdefault(address, [])
            if times and times[-1].gone is None:
                times[-1].last = before
            else:
                times.append(Sighting(before, before))
        for address, times in self.seen.items():
            if address not in shown and times[-1].gone is None:
                times[-1].gone = after
