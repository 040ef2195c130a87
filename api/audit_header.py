"""The state of the audit trail, read at most once a second, and the header that reports it."""

from __future__ import annotations

import asyncio
import math
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.audit.state import TrailState
from orchestrator.incidents.trail_health import trail_health
from orchestrator.runtime import Runtime

AUDIT_HEADER = "Tocsin-Audit"
_FRESH_SECONDS = 1.0
_TIMEOUT_SECONDS = 1.0
_log = structlog.get_logger(__name__)


class TrailWatch:
    """A cache of the state of the trail: one request at a time reads it."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._state = TrailState()
        self._read_at = -math.inf
        self._reading = False

    def refresh(self) -> None:
        """Make the next response read the state again."""
        self._read_at = -math.inf

    async def state(self) -> TrailState:
        """Return the state; where the database does not answer, the one before."""
        if not self._reading and time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._reading = True
            try:
                await self._read()
            finally:
                self._reading = False
        return self._state

    async def header(self) -> str | None:
        """Return the value of the header: `broken`, or None for an intact trail."""
        return None if (await self.state()).is_intact else "broken"

    async def _read(self) -> None:
        self._read_at = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                self._state = await trail_health(self._rt)
        except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
            _log.warning("audit trail not readable", error=type(error).__name__)
