"""The workflow that watches a containment: one per containment, started or woken here."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from orchestrator.contracts.containment import HoldInput
from orchestrator.contracts.names import TASK_QUEUE, Workflow


def workflow_id(key: str) -> str:
    """Return the id of the workflow that watches a containment."""
    return f"hold-{key}"


async def watch(client: Client, key: str) -> None:
    """Wake the workflow of a containment; start it where it does not run."""
    await client.start_workflow(
        Workflow.HOLD,
        HoldInput(containment_key=key),
        id=workflow_id(key),
        task_queue=TASK_QUEUE,
        start_signal="changed",
    )


async def ensure_watched(client: Client, key: str) -> None:
    """Start the workflow of a containment where it does not run. A running one is not woken."""
    await client.start_workflow(
        Workflow.HOLD,
        HoldInput(containment_key=key),
        id=workflow_id(key),
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
