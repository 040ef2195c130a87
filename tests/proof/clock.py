"""The virtual clock: the store follows the time of Temporal's test server, at each activity."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from orchestrator.domain.clock import utc_now


class VirtualClock(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Real time, plus what the server has skipped until the last activity.

    Also an interceptor of the client, because a worker takes over those of its client.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.busy = 0  # activities that run now
        self.begun = 0  # activities so far

    def now(self) -> datetime:
        """Return the time of the store."""
        return utc_now() + self._ahead

    def catch_up(self, moment: datetime) -> None:
        """Move to the server's time. Never moves back."""
        self._ahead = max(self._ahead, moment - utc_now())

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _ActivityClock(next, self)


class _ActivityClock(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, clock: VirtualClock) -> None:
        super().__init__(next)
        self._clock = clock

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if not activity.info().is_local:
            self._clock.catch_up(activity.info().started_time)
        self._clock.busy += 1
        self._clock.begun += 1
        try:
            return await super().execute_activity(input)
        finally:
            self._clock.busy -= 1
