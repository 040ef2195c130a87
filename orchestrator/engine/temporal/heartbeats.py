"""How does the server learn within seconds that a worker was killed? Every regular activity says now and then that it lives."""

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
    """For the worker: beats on behalf of each activity, three times within its heartbeat timeout.

    What the activity itself reported last is said again with each beat, so that it can still resume from there after a crash.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  temporalio's name
        return _Beating(next)


class _Beating(ActivityInboundInterceptor):
    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = _Remembering(outbound)
        super().init(self._outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  temporalio's name
        info = activity.info()
        if info.is_local or info.heartbeat_timeout is None:
            return await super().execute_activity(input)
        self._outbound.last = tuple(info.heartbeat_details)
        beating = asyncio.create_task(self._beat(info.heartbeat_timeout / 3))
        try:
            return await super().execute_activity(input)
        finally:
            beating.cancel()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self, every: timedelta) -> None:
        while True:
            await asyncio.sleep(every.total_seconds())
            self._outbound.heartbeat(*self._outbound.last)


class _Remembering(ActivityOutboundInterceptor):
    last: Sequence[Any] = ()

    def heartbeat(self, *details: Any) -> None:
        self.last = details or self.last
        super().heartbeat(*self.last)
