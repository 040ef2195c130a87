"""The activity `read`: the output of a read, recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import activity

from connectors.capabilities.own import Own
from connectors.sdk.transport import Access
from orchestrator.audit import trail
from orchestrator.connections.call_context import call_for
from orchestrator.connections.open import open_connection_for
from orchestrator.containments.history import read_containment_history
from orchestrator.contracts.change import ReadReply, StepCall
from orchestrator.contracts.names import Activity
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import digest
from orchestrator.domain.errors import Rejected
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepState
from orchestrator.domain.untrusted.text import clean_text
from orchestrator.engine.activities.step_records import (
    fail_step_on_write,
    save_step,
    step_event,
    step_progress,
)
from orchestrator.engine.decide.result_limits import size_problem
from orchestrator.runtime import Runtime


class ReadSystem:
    """A read changes nothing, so it is recorded afterwards, in one transaction."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt

    @activity.defn(name=Activity.READ)
    async def read(self, call: StepCall) -> ReadReply:
        """Return the output of a read. Raise Unavailable, Rejected."""
        async with step_progress(self._rt, call):
            started = self._rt.clock()
            output = await self._output(call)
            if problem := size_problem(output):
                raise Rejected(problem)
            await self._record(call, output, started)
            return ReadReply(output=output)

    async def _output(self, call: StepCall) -> dict[str, Any]:
        if call.capability == Own.capability:
            return await read_containment_history(self._rt, call)
        connector = await open_connection_for(self._rt, call.connection, Access.READ)
        async with fail_step_on_write(self._rt, call):
            output: dict[str, Any] = await connector.read(
                call.action, call.input, call_for(call.ref, call.action)
            )
            cleaned: dict[str, Any] = clean_text(output)
        return cleaned

    async def _record(self, call: StepCall, output: dict[str, object], started: datetime) -> None:
        now = self._rt.clock()
        masked = mask_secrets(output)
        data = {
            "connection": call.connection,
            "action": call.action,
            "input": call.input,
            "output": masked,
        }
        event = step_event(call.ref, EventKind.STEP_READ, data, now, digest(call.input), started)
        async with self._rt.store.write() as session:
            await save_step(session, call, StepState.DONE, started, now, result=masked)
            await trail.record_all(session, [event])
