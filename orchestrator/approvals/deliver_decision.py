"""Delivery of a decision to the workflow that waits for it. The store keeps it in any case.

Tocsin only tells the workflow to look. The decision counts as delivered when the workflow has read
it, which the activity that reads it records.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto

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


class Delivery(Enum):
    """The outcome of a delivery, which is repeated until the workflow has read the decision."""

    SENT = auto()  # the workflow looks, or was about to
    LATER = auto()  # Temporal or the worker does not answer, or nothing is decided
    NO_WORKFLOW = auto()  # Temporal has no such workflow that is open


async def deliver(rt: Runtime, client: Client, approval_id: str) -> Delivery:
    """Tell the waiting workflow that an approval is decided. Never raise because of Temporal."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        if row is None or row.state not in DELIVERED_STATES:
            return Delivery.LATER
        decision = decision_of(row, await approvals.list_decisions(session, [row.id]))
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            # Each with an id of its own: an update that was lost after it was accepted is not
            # taken for one that the workflow knows.
            await client.get_workflow_handle(row.workflow_id).execute_update("decide", decision)
    except WorkflowUpdateFailedError:
        return Delivery.SENT  # it knows already, or is about to ask
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Delivery.NO_WORKFLOW
        _log.warning("decision not delivered", approval_id=row.id, status=error.status.name)
        return Delivery.LATER
    except (TimeoutError, RuntimeError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        _log.warning("decision not delivered", approval_id=row.id, error=type(error).__name__)
        return Delivery.LATER
    return Delivery.SENT
