"""The workflow that holds one containment: looks at the device now and then, sleeps until a lease ends, and lifts after the last."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from orchestrator.contracts.messages import Activity, DueReply, HoldInput, Workflow
    from orchestrator.domain.errors import TocsinError
    from orchestrator.engine.temporal.activity_calls import (
        ACTION_TIME,
        BOOKKEEPING,
        regular,
        take_back,
    )

MAX_ROUNDS = 500
SHORTEST = timedelta(milliseconds=50)
"""The store's clock may be a little behind."""
STUCK = timedelta(minutes=1)
"""At least so long until the next try, when a lease could not be ended; the store says when."""
CHECKING = RetryPolicy(maximum_attempts=3)
"""What does not come off is done at the next check."""


@workflow.defn(name=Workflow.HOLD)
class HoldContainment:
    """One per connection, action and target; the store knows the leases, this knows when to look."""

    def __init__(self) -> None:
        self._changes = 0

    @workflow.signal
    def changed(self) -> None:
        """A lease was registered, extended, shortened or released."""
        self._changes += 1

    @workflow.run
    async def run(self, given: HoldInput) -> None:
        """Until nothing holds it any more, and it is lifted."""
        for _ in range(MAX_ROUNDS):
            seen = self._changes
            due: DueReply = await regular(Activity.DUE, given, DueReply, BOOKKEEPING)
            replies = await take_back(due.ended)
            if any(reply.outcome == "stuck" for reply in replies):
                await self._wait(seen, STUCK)
            elif due.check:
                given = given.model_copy(update={"checked_at": workflow.now()})
                with suppress(TocsinError):  # it is recorded where it is found out
                    await regular(
                        Activity.CHECK, given.containment_key, None, CHECKING, ACTION_TIME
                    )
            elif not due.ended and self._changes == seen:
                if due.wake_at is None:
                    return
                await self._wait(seen, max(due.wake_at - workflow.now(), SHORTEST))
        workflow.continue_as_new(given)

    async def _wait(self, seen: int, most: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._changes > seen, timeout=most)
        except TimeoutError:
            return
