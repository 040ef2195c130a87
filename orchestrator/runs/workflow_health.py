"""Workflow health: how often the pending task of a workflow, or of its children, has failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.contracts.names import Workflow
from orchestrator.engine.temporal.client import RPC_TIMEOUT

STUCK_AFTER = 3
"""Failures of one workflow task in a row, which take about a quarter of a minute."""
ASKED_AT_ONCE = 50
"""Workflows that are asked about one by one in a round. Temporal reports others, a bit later."""


@dataclass(frozen=True, slots=True)
class Health:
    """What Temporal says of one workflow. A lost one has no failures and no start."""

    failures: int = 0
    started_at: datetime | None = None
    execution: str | None = None
    """The run id in Temporal, by which one is ended and not its successor."""


async def health(client: Client, name: str) -> Health:
    """Return how often the pending task has failed: the most of it and of its open children."""
    try:
        described = await client.get_workflow_handle(name).describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return Health()
        raise
    raw = described.raw_description
    children = [child.workflow_id for child in raw.pending_children][:ASKED_AT_ONCE]
    below = await asyncio.gather(*(health(client, child) for child in children))
    own = max(raw.pending_workflow_task.attempt - 1, 0)
    failures = max([own, *(each.failures for each in below)])
    return Health(failures, described.start_time, described.run_id)


async def reported(client: Client, *types: Workflow) -> set[str]:
    """Return ids of workflows that Temporal reports by itself; an older server does not."""
    listed = ", ".join(f"'{each}'" for each in types)
    query = (
        f"WorkflowType IN ({listed}) AND ExecutionStatus = 'Running' AND "
        "TemporalReportedProblems IN ('category=WorkflowTaskFailed')"
    )
    try:
        return {found.id async for found in client.list_workflows(query)}
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return set()
