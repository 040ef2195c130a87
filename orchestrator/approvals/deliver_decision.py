"""Delivery of a decision to the workflow that waits for it. The store keeps it in any case."""

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
from orchestrator.domain.approval import DELIVERED_STATES
from orchestrator.runtime import Runtime
from orchestrator.store.queries import approvals

_log = structlog.get_logger(__name__)

DELIVERY_SECONDS = 2.0
"""How long a delivery may take before the reconciler takes it over."""


async def deliver(rt: Runtime, client: Client, approval_id: str) -> bool:
    """Deliver a decision to the waiting workflow. Never raise because of Temporal.

    Return whether the workflow has it, or does not exist any more. The reconciler retries.
    """
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        if row is None or row.state not in DELIVERED_STATES:
            return False
        decision = decision_of(row, await approvals.list_decisions(session, [row.id]))
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            handle = client.get_workflow_handle(row.workflow_id)
            await handle.execute_update("decide", decision, id=f"decision-{row.id}")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            _log.warning("decision not delivered", approval=row.id, status=error.status.name)
            return False
    except (
        TimeoutError,
        RuntimeError,
        WorkflowUpdateFailedError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    ) as error:
        _log.warning("decision not delivered", approval=row.id, error=type(error).__name__)
        return False
    async with rt.store.write() as session:
        await approvals.mark_delivered(session, approval_id)
    return True
