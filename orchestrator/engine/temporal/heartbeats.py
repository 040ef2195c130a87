"""Heartbeats of activities, so that the server notices a killed worker within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)


class Heartbeats(Interceptor):
    """Sends heartbeats on behalf of each remote activity, three times per heartbeat timeout.

    Each repeats what the activity itself reported last, so that it can resume from there.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  temporalio's name
        """Return the interceptor of one activity."""
        return _HeartbeatSender(next)


class _HeartbeatSender(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _LastDetails(outbound)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  temporalio's name
        info = activity.info()
        if info.is_local or info.heartbeat_timeout is None:
            return await super().execute_activity(input)
        self._outbound.last = tuple(info.heartbeat_details)
        sending = asyncio.create_task(self._send(info.heartbeat_timeout / 3))
        try:
            return await super().execute_activity(input)
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    async def _send(self, every: timedelta) -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            self._outbound.heartbeat(*self._outbound.last)


class _LastDetails(ActivityOutboundInterceptor):
    last: Sequence[Any] = ()

    def heartbeat(self, *details: Any) -> None:
        self.last = details or self.last
        super().heartbeat(*self.last)
