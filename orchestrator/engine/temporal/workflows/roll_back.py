"""The workflow that takes back many steps of a run: the same as the run would do, in a history of its own."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestrator.contracts.messages import RollBackInput, UndoReply, UndoRequest, Workflow
    from orchestrator.engine.temporal.activity_calls import take_back


@workflow.defn(name=Workflow.ROLL_BACK)
class RollBack:
    """The run waits for it, and looks afterwards what is left."""

    @workflow.run
    async def run(self, given: RollBackInput) -> list[UndoReply]:
        """What came of each step, in the order of the paths."""
        about = {"run_id": given.run_id, "reason": given.reason, "actor": given.actor}
        return await take_back([UndoRequest(path=path, **about) for path in given.paths])
