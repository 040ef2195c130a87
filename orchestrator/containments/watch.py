"""Start or wake the workflow that watches a containment."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from orchestrator.contracts.messages import TASK_QUEUE, HoldInput, Workflow


async def watch(client: Client, key: str) -> None:
    """Wakes the workflow that watches a containment, started where there is none."""
    await client.start_workflow(
        Workflow.HOLD,
        HoldInput(containment_key=key),
        id=workflow_id(key),
        task_queue=TASK_QUEUE,
        start_signal="changed",
    )


async def ensure_watched(client: Client, key: str) -> None:
    """Starts the workflow that watches a containment where there is none. One that is there has its own moment, and is left to it."""
    await client.start_workflow(
        Workflow.HOLD,
        HoldInput(containment_key=key),
        id=workflow_id(key),
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


def workflow_id(key: str) -> str:
    """One workflow per containment."""
    return f"hold-{key}"
