"""The workflows of a containment: one releases what is due on it, one checks it for drift."""

from __future__ import annotations

from contextlib import suppress

from temporalio import workflow
from temporalio.common import RetryPolicy

from orchestrator.contracts.change import UndoRequest
from orchestrator.contracts.names import Activity, Workflow
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.temporal.activity_calls import (
    ACTION_TIME,
    remote_activity,
    store_activity,
    undo_steps,
)

ONE_TRY = RetryPolicy(maximum_attempts=1)
"""The store says when a release is tried again, so that one that waits occupies no worker."""
CHECK_RETRY = RetryPolicy(maximum_attempts=3)
"""A check that fails is repeated at the next one."""


@workflow.defn(name=Workflow.RELEASE)
class EndLeases:
    """Ends the leases that are over, and lifts the containment after the last. Once, then ends."""

    @workflow.run
    async def run(self, key: str) -> bool:
        """Return whether everything that was due is done."""
        requests = await store_activity(Activity.LIST_DUE, key, list[UndoRequest])
        replies = await undo_steps(requests, ONE_TRY)
        return all(reply.outcome != "stuck" for reply in replies)


@workflow.defn(name=Workflow.CHECK)
class CheckContainment:
    """Reads the device back once."""

    @workflow.run
    async def run(self, key: str) -> None:
        """Check for drift; the activity records the outcome."""
        with suppress(TocsinError):
            await remote_activity(Activity.CHECK_DRIFT, key, None, CHECK_RETRY, ACTION_TIME)
