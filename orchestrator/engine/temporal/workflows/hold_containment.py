"""The workflow of a containment: ends leases, checks for drift, lifts after the last lease."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from orchestrator.contracts.containment import DueReply, HoldInput
    from orchestrator.contracts.names import Activity, Workflow
    from orchestrator.domain.errors import TocsinError
    from orchestrator.engine.temporal.activity_calls import (
        ACTION_TIME,
        STORE_RETRY,
        remote_activity,
        undo_steps,
    )

MAX_ROUNDS = 500
SHORTEST = timedelta(milliseconds=50)
"""Wait at least so long: the store's clock may be a little behind."""
STUCK = timedelta(minutes=1)
"""Wait at least so long after a lease could not be ended; the store says when it is due again."""
CHECK_RETRY = RetryPolicy(maximum_attempts=3)
"""A check that fails is repeated at the next one."""


@workflow.defn(name=Workflow.HOLD)
class HoldContainment:
    """One per connection, action and target. Leases are in the store; this knows when to look."""

    def __init__(self) -> None:
        self._changes = 0

    @workflow.signal
    def changed(self) -> None:
        """Look again: a lease was registered, extended, shortened or released."""
        self._changes += 1

    @workflow.run
    async def run(self, given: HoldInput) -> None:
        """Watch the containment until it is lifted."""
        for _ in range(MAX_ROUNDS):
            changes = self._changes
            due: DueReply = await remote_activity(Activity.LIST_DUE, given, DueReply, STORE_RETRY)
            replies = await undo_steps(due.ended)
            if any(reply.outcome == "stuck" for reply in replies):
                await self._wait(changes, STUCK)
            elif due.check:
                given = given.model_copy(update={"checked_at": workflow.now()})
                key = given.containment_key
                with suppress(TocsinError):  # the activity records it
                    await remote_activity(Activity.CHECK_DRIFT, key, None, CHECK_RETRY, ACTION_TIME)
            elif not due.ended and self._changes == changes:
                if due.wake_at is None:
                    return
                await self._wait(changes, max(due.wake_at - workflow.now(), SHORTEST))
        workflow.continue_as_new(given)

    async def _wait(self, changes: int, longest: timedelta) -> None:
        try:
            await workflow.wait_condition(lambda: self._changes > changes, timeout=longest)
        except TimeoutError:
            return
