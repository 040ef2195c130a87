"""How does a waiting run hear of a decision? At once where it can be, and from the sweeper where not; the store has it in any case."""

from __future__ import annotations

import asyncio

import structlog
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.approvals.decision_reply import decision_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals

_log = structlog.get_logger(__name__)

DELIVERY_SECONDS = 2.0
"""How long the run may take to hear of a decision before it is left to the sweeper."""


async def deliver(rt: Runtime, client: Client, approval_id: str) -> bool:
    """Tells the waiting run what was decided. Whether it knows, or nobody waits any more; never raises for Temporal's sake."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        if row is None or row.state not in approvals.DECIDED:
            return False
        decision = decision_of(row, await approvals.answers(session, [row.id]))
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            handle = client.get_workflow_handle(row.workflow_id)
            await handle.execute_update("decide", decision, id=f"decision-{row.id}")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            _log.warning(
                "a decision could not be delivered yet", approval=row.id, status=error.status.name
            )
            return False
    except (
        TimeoutError,
        RuntimeError,
        WorkflowUpdateFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    ) as error:
        _log.warning(
            "a decision could not be delivered yet", approval=row.id, reason=type(error).__name__
        )
        return False
    async with rt.store.write() as session:
        await approvals.mark_delivered(session, approval_id)
    return True
