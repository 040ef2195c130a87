"""The workflow of a batch: a slice of a long `for_each`, by the same interpreter."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from orchestrator.contracts.approval import Decision
from orchestrator.contracts.batch import BatchInput, BatchReply
from orchestrator.contracts.names import Workflow
from orchestrator.domain.errors import TocsinError
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import GroupApproval, StepScope
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.engine.temporal.port import TemporalPort


@workflow.defn(name=Workflow.BATCH)
class RunBatch:
    """Items only: the parent records the end of the run and rolls it back."""

    @workflow.init
    def __init__(self, given: BatchInput) -> None:
        self._inbox = Inbox()
        run = given.run.model_copy(update={"next_seq": given.next_seq})
        port = TemporalPort(run, self._inbox)
        self._interpreter = Interpreter(port, run, port)

    @workflow.run
    async def run(self, given: BatchInput) -> BatchReply:
        """Return the outcome of each item. Fail when the batch as a whole failed."""
        try:
            outcomes = await self._interpreter.run_batch(
                given.step, given.first, given.items, _scope(given)
            )
        except TocsinError as error:
            raise ApplicationError(
                str(error), type=type(error).__name__, non_retryable=True
            ) from error
        except Exception as error:
            workflow.logger.exception("batch failed inside the engine")
            raise ApplicationError(
                f"inside the engine: {type(error).__name__}: {error}", non_retryable=True
            ) from error
        await workflow.wait_condition(workflow.all_handlers_finished)
        return BatchReply(items=outcomes, next_seq=self._interpreter.next_seq)

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """Look up an approval of this batch that is decided. Idempotent."""
        self._inbox.report(decision)

    @decide.validator
    def _validate_decision(self, decision: Decision) -> None:
        self._inbox.validate(decision)

    @workflow.signal
    def notify_new_alert(self) -> None:
        """Look for a new alert in the incident."""
        self._inbox.new_alerts += 1


def _scope(given: BatchInput) -> StepScope:
    approval = (
        GroupApproval(given.question, given.approved, frozenset(given.declined), given.holds)
        if given.question
        else None
    )
    return StepScope(given.names, dict(given.steps), given.prefix, approval)
