"""The workflow that holds one containment: sleeps until a lease ends, and lifts it after the last."""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestrator.engine.contracts import Activity, DueReply, HoldInput, UndoReply, Workflow
    from orchestrator.engine.workflows.temporal_port import ACTION_TIME, BOOKKEEPING, RELEASING, _regular

MAX_ROUNDS = 500


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
        """Until no lease with an end is left."""
        for _ in range(MAX_ROUNDS):
            seen = self._changes
            due: DueReply = await _regular(Activity.DUE, given, DueReply, BOOKKEEPING)
            for each in due.ended:
                await _regular(Activity.UNDO, each, UndoReply, RELEASING, ACTION_TIME)
            if due.ended or self._changes > seen:
                continue
            if due.wake_at is None:
                return
            await self._wait(seen, due)
        workflow.continue_as_new(given)

    async def _wait(self, seen: int, due: DueReply) -> None:
        left = (due.wake_at - workflow.now()).total_seconds() if due.wake_at else 0.0
        try:
            await workflow.wait_condition(lambda: self._changes > seen, timeout=timedelta(seconds=max(left, 0.05)))
        except TimeoutError:
            return
