"""Which kill switches are on? Said in every answer, so that nobody wonders why nothing moves."""

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
_PATIENCE_SECONDS = 1.0
_MOST = 20
_log = structlog.get_logger(__name__)


class Switches:
    """Looks at most twice a second, one request at a time; the others take what was seen last."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._seen: bytes | None = None
        self._at = -math.inf
        self._looking = False

    def forget(self) -> None:
        """The next answer looks again."""
        self._at = -math.inf

    async def header(self) -> bytes | None:
        """`global`, `connection=firewall`, `source=siem;releases` (releases stop too), apart by commas; None when none is on."""
        if not self._looking and time.monotonic() - self._at > _FRESH_SECONDS:
            self._looking = True
            try:
                await self._look()
            finally:
                self._looking = False
        return self._seen

    async def _look(self) -> None:
        self._at = time.monotonic()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                found = await list_switches(self._rt)
        except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
            _log.warning("the kill switches could not be read", error=type(error).__name__)
            return
        more = [f"and {len(found) - _MOST} more"] if len(found) > _MOST else []
        self._seen = ", ".join([*map(_said, found[:_MOST]), *more]).encode("ascii") or None


def _said(switch: KillSwitchView) -> str:
    said = (
        switch.scope
        if switch.name == "*"
        else f"{switch.scope}={quote(switch.name, safe='')[:100]}"
    )
    return f"{said};releases" if switch.stop_releases else said
