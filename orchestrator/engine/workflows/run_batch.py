"""The workflow of a slice of a long `for_each`: the same interpreter in a history of its own."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from orchestrator.engine.contracts import BatchInput, Decision, Workflow
    from orchestrator.engine.interpreter import Interpreter
    from orchestrator.engine.scope import Place
    from orchestrator.engine.workflows.temporal_port import Mail, TemporalPort
    from orchestrator.playbook.plan import ForEach


@workflow.defn(name=Workflow.BATCH)
class RunBatch:
    """Items only; the parent ends the run and rolls it back."""

    @workflow.init
    def __init__(self, given: BatchInput) -> None:
        self._given = given
        self._mail = Mail()

    @workflow.run
    async def run(self, given: BatchInput) -> list[dict[str, Any]]:
        """What became of each item, without the results of its steps: those stand in the run's record."""
        if not isinstance(given.step, ForEach):
            message = f"a batch is of a for_each, not of a {given.step.kind}"
            raise TypeError(message)
        whole = given.run.model_copy(update={"next_seq": given.first_seq})
        port = TemporalPort(whole, self._mail, f"run:{given.run.run.run_id}")
        names = {name: value for name, value in given.scope.items() if name not in {"steps", "prefix"}}
        place = Place(names, dict(given.scope["steps"]), str(given.scope["prefix"]), given.approved)
        done = await Interpreter(port, whole).items(given.step, given.first, given.items, place)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return [{**each, "steps": {}} for each in done]

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """People have decided about something in this slice."""
        self._mail.decisions.setdefault(decision.approval_id, decision)

    @workflow.signal
    def nudge(self) -> None:
        """An alert has joined the incident."""
        self._mail.nudges += 1
