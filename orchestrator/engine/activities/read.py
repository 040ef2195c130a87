"""The activity `read`: ask a system, and record the answer."""

from __future__ import annotations

from datetime import datetime

from temporalio import activity

from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.connections import open_connection_for
from orchestrator.contracts.messages import ActionCall, Activity, ReadReply
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.masking import masked
from orchestrator.domain.run import StepState
from orchestrator.engine.activities.refused_writes import attempts_reported
from orchestrator.engine.activities.step_records import save_step, step_event
from orchestrator.engine.temporal.errors import told_to_workflow
from orchestrator.runtime import Runtime


class Reading:
    """Reads change nothing, so they are recorded afterwards, in one transaction."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.READ)
    async def read(self, call: ActionCall) -> ReadReply:
        """Carries out a read. Raises Unavailable, Rejected."""
        with told_to_workflow():
            started = self._rt.clock()
            connector = await open_connection_for(self._rt, call.connection, Access.READ)
            async with attempts_reported(self._rt, call):
                output = await connector.read(
                    call.action, call.input, call_for(call.ref, call.action)
                )
            await self._record(call, output, started)
            return ReadReply(output=output)

    async def _record(self, call: ActionCall, output: dict[str, object], started: datetime) -> None:
        now = self._rt.clock()
        shown = masked(output)
        told = {
            "connection": call.connection,
            "action": call.action,
            "input": call.input,
            "output": shown,
        }
        read = step_event(call.ref, EventKind.STEP_READ, told, now, digest(call.input), started)
        async with self._rt.store.write() as session:
            await save_step(session, call, StepState.DONE, started, now, result=shown)
            await trail.record_all(session, [read])
