"""Deliveries that are accepted at the same time: bounded in number and bytes, with a reserve.

A delivery is kept in memory from its first byte to the answer. Beyond the bounds it is refused with
429, before it is read, and its sender sends it again. A part is reserved for critical sources, so
that many deliveries of others never keep theirs out. Each API process counts for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.exceptions import HTTPException
from starlette.requests import Request

from orchestrator.settings import Settings

RESERVED = 0.25
"""The part that only critical sources use, where there are any."""
RETRY_SECONDS = 1

_REASON = "too many deliveries at the same time; wait for the seconds of Retry-After"


class TooBusy(HTTPException):
    """A delivery beyond the bounds."""

    def __init__(self) -> None:
        # What is left of the body is not read.
        headers = {"Retry-After": str(RETRY_SECONDS), "Connection": "close"}
        super().__init__(429, _REASON, headers)


class DeliveryLimits:
    """The deliveries that an API process has in memory."""

    def __init__(self, settings: Settings) -> None:
        self._critical = frozenset(settings.critical_sources)
        self._most = settings.intake_deliveries
        self._most_bytes = settings.intake_bytes
        self._largest = settings.max_body_bytes
        self.open = 0
        """How many deliveries there are."""
        self.bytes = 0
        """How many bytes of them were received."""

    @contextmanager
    def admit(self, source: str) -> Iterator[Admission]:
        """Count a delivery until the block ends. Raise TooBusy."""
        is_critical = source in self._critical
        part = 1.0 if is_critical or not self._critical else 1 - RESERVED
        if self.open >= max(1, int(self._most * part)):
            raise TooBusy
        # A single body of the largest size is always accepted.
        admission = Admission(self, max(self._largest, int(self._most_bytes * part)))
        self.open += 1
        try:
            yield admission
        finally:
            self.open -= 1
            self.bytes -= admission.received


class Admission:
    """One delivery that was admitted."""

    def __init__(self, limits: DeliveryLimits, most: int) -> None:
        self._limits, self._most = limits, most
        self.received = 0
        """How many bytes of the body were received."""

    async def read(self, request: Request) -> bytes:
        """Return the body. Raise TooBusy where it does not fit next to the others."""
        parts: list[bytes] = []
        async for part in request.stream():
            self.received += len(part)
            self._limits.bytes += len(part)
            if self._limits.bytes > self._most:
                raise TooBusy
            parts.append(part)
        return b"".join(parts)
