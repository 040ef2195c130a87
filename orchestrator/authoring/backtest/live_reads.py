"""Live reads of a backtest, on a worker: nothing that they do changes a system."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from connectors.capabilities.own import Own
from connectors.sdk.transport import Access
from orchestrator.authoring.backtest.read_resolver import Live
from orchestrator.authoring.backtest.report import Backtest
from orchestrator.authoring.backtest.service import LIVE_BACKTEST, LiveBacktest, run_backtest
from orchestrator.connections.call_context import read_call
from orchestrator.connections.open import open_connection_for
from orchestrator.connections.write_guard_audit import audit_write_attempts
from orchestrator.containments.history import read_containment_history
from orchestrator.contracts.change import StepCall
from orchestrator.domain.digest import input_digest
from orchestrator.requests import RequestHandler
from orchestrator.runtime import Runtime

LIVE_READ_TIME = timedelta(seconds=30)
"""How long one live read may take."""


async def run_live_backtest(rt: Runtime, message: LiveBacktest) -> Backtest:
    """Run a backtest that reads from real systems. Raises as `run_backtest` does."""
    return await run_backtest(
        rt, message.playbook, message.request, seconds=message.seconds, live=live_reads(rt)
    )


def live_reads(rt: Runtime) -> Live:
    """Return reads through the real connections; their write credentials are not loaded."""

    async def read(call: StepCall) -> dict[str, Any]:
        if call.capability == Own.capability:
            return await read_containment_history(rt, call)
        connector = await open_connection_for(rt, call.connection, Access.READ)
        context = read_call(
            call.ref.run.run_id,
            call.ref.path,
            input_digest(call.connection, call.action, call.input),
            f"Tocsin backtest of {call.ref.run.playbook}, step {call.ref.path}",
            rt.clock() + LIVE_READ_TIME,
        )
        async with audit_write_attempts(rt, call.connection, call.action, call.ref.run.run_id):
            output: dict[str, Any] = await connector.read(call.action, call.input, context)
        return output

    return read


LIVE_BACKTEST_HANDLER = RequestHandler(LIVE_BACKTEST, run_live_backtest)
