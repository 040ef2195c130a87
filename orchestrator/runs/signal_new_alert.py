"""Signals to waiting runs that alerts joined their incidents. Best effort: runs also poll."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from temporalio.client import Client
from temporalio.service import RPCError

from orchestrator.contracts.names import run_workflow_id
from orchestrator.engine.temporal.client import RPC_TIMEOUT
from orchestrator.runtime import Runtime
from orchestrator.store.queries import runs


async def signal_new_alerts(rt: Runtime, client: Client, incident_ids: Sequence[str]) -> None:
    """Wake the waiting runs of incidents. Errors of Temporal are ignored."""
    async with rt.store.read() as session:
        waiting = await runs.list_waiting(session, incident_ids)
    for run_id, attempt in waiting:
        with suppress(RPCError, RuntimeError):
            await client.get_workflow_handle(run_workflow_id(run_id, attempt)).signal(
                "notify_new_alert", rpc_timeout=RPC_TIMEOUT
            )
