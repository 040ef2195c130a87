"""How does the store's clock keep up with the virtual time of Temporal's test server? Each activity tells when it was begun there."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from orchestrator.domain.clock import utc_now


class VirtualClock(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Time goes on as outside; the server skips ahead only while told to, and this follows at the first activity afterwards.

    A client's interceptor too, because a worker takes over those of its client.
    """

    def __init__(self) -> None:
        self._ahead = timedelta()
        self.busy = 0  # activities that are being carried out at this moment
        self.begun = 0  # of all activities

    def now(self) -> datetime:
        """What the store takes for now."""
        return utc_now() + self._ahead

    def hear(self, moment: datetime) -> None:
        """It is so late on the server. Never goes back."""
        self._ahead = max(self._ahead, moment - utc_now())

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Listening(next, self)


class _Listening(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, clock: VirtualClock) -> None:
        super().__init__(next)
        self._clock = clock

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if not activity.info().is_local:
            self._clock.hear(activity.info().started_time)
        self._clock.busy += 1
        self._clock.begun += 1
        try:
            return await super().execute_activity(input)
        finally:
            self._clock.busy -= 1
