"""The response header that names the engaged kill switches."""

from __future__ import annotations

import asyncio
import math
import time
from urllib.parse import quote

import structlog
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.policy.stops.kill_switches import KillSwitchView, list_switches
from orchestrator.runtime import Runtime

HEADER = b"tocsin-kill-switch"
_FRESH_SECONDS = 0.5
_TIMEOUT_SECONDS = 1.0
_MAX_NAMED = 20
_log = structlog.get_logger(__name__)


class KillSwitchHeader:
    """A cache of the header's value: read at most twice a second, by one request at a time."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._value: bytes | None = None
        self._read_at = -math.inf
        self._reading = False

    def refresh(self) -> None:
        """Make the next response read the kill switches again."""
        self._read_at = -math.inf

    async def value(self) -> bytes | None:
        """Return the header's value, None when no kill switch is engaged.

        Switches are separated by commas: `global`, `connection=firewall`, `source=siem;releases`
        (stops releases too).
        """
        if not self._reading and time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._reading = True
            try:
                await self._read()
            finally:
                self._reading = False
        return self._value

    async def _read(self) -> None:
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                switches = await list_switches(self._rt)
        except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
            _log.warning("kill switches not readable", error=type(error).__name__)
            return
        hidden = len(switches) - _MAX_NAMED
        texts = [
            *map(_text, switches[:_MAX_NAMED]),
            *([f"and {hidden} more"] if hidden > 0 else []),
        ]
        self._value = ", ".join(texts).encode("ascii") or None


def _text(switch: KillSwitchView) -> str:
    name = quote(switch.name, safe="")[:100]
    text = switch.scope if switch.name == "*" else f"{switch.scope}={name}"
    return f"{text};releases" if switch.stop_releases else text
