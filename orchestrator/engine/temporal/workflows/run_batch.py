"""The workflow of a slice of a long `for_each`: the same interpreter in a history of its own."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from orchestrator.contracts.messages import BatchInput, BatchReply, Decision, Workflow
    from orchestrator.domain.errors import TocsinError
    from orchestrator.engine.decide.interpreter import Interpreter
    from orchestrator.engine.decide.scope import Cover, Place
    from orchestrator.engine.temporal.inbox import Mail
    from orchestrator.engine.temporal.port import TemporalPort


@workflow.defn(name=Workflow.BATCH)
class RunBatch:
    """Items only; the parent ends the run and rolls it back."""

    @workflow.init
    def __init__(self, given: BatchInput) -> None:
        self._given = given
        self._mail = Mail()

    @workflow.run
    async def run(self, given: BatchInput) -> BatchReply:
        """What became of each item. Fails with the reason when the slice as a whole could not be done."""
        whole = given.run.model_copy(update={"next_seq": given.next_seq})
        interpreter = Interpreter(
            TemporalPort(whole, self._mail, f"run:{given.run.run.run_id}"), whole
        )
        try:
            done = await interpreter.slice(given.step, given.first, given.items, _place(given))
        except TocsinError as error:
            raise ApplicationError(
                str(error), type=type(error).__name__, non_retryable=True
            ) from error
        except Exception as error:
            workflow.logger.exception("a slice failed inside the engine")
            raise ApplicationError(
                f"inside the engine: {type(error).__name__}: {error}", non_retryable=True
            ) from error
        await workflow.wait_condition(workflow.all_handlers_finished)
        return BatchReply(items=done, next_seq=interpreter.next_seq)

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """People have decided about something in this slice: the store knows what. To be told so again is no harm."""
        self._mail.hear(decision)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        self._mail.check(decision)

    @workflow.signal
    def nudge(self) -> None:
        """An alert has joined the incident."""
        self._mail.nudges += 1


def _place(given: BatchInput) -> Place:
    cover = (
        Cover(given.question, given.approved, frozenset(given.declined)) if given.question else None
    )
    return Place(given.names, dict(given.steps), given.prefix, cover)
