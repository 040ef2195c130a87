"""The workflow that undoes many steps of a run in a history of its own."""

from __future__ import annotations

from temporalio import workflow

from orchestrator.contracts.change import RollBackInput, UndoReply, UndoRequest
from orchestrator.contracts.names import Workflow
from orchestrator.engine.temporal.activity_calls import undo_steps


@workflow.defn(name=Workflow.ROLL_BACK)
class RollBack:
    """A child of the run, which waits for it."""

    @workflow.run
    async def run(self, given: RollBackInput) -> list[UndoReply]:
        """Return the outcome of each step, in the order of the paths."""
        requests = [
            UndoRequest(
                run_id=given.run_id,
                path=path,
                cause=given.cause,
                reason=given.reason,
                actor=given.actor,
            )
            for path in given.paths
        ]
        return await undo_steps(requests)
