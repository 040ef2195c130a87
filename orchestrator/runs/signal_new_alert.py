"""Who hears that an alert joined an incident? The runs of it that wait; they also look by themselves, so that nothing hangs on this."""

from __future__ import annotations

from contextlib import suppress

from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.runs.dispatch import workflow_id
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs


async def nudge(rt: Runtime, client: Client, incident_id: str) -> None:
    """Wakes the waiting runs of an incident; never raises for Temporal's sake."""
    async with rt.store.read() as session:
        waiting = await runs.waiting_in(session, incident_id)
    for run_id, attempt in waiting:
        with suppress(RPCError, RuntimeError):
            await client.get_workflow_handle(workflow_id(run_id, attempt)).signal(
                "nudge", rpc_timeout=RPC_TIMEOUT
            )
