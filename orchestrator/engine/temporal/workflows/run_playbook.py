"""The workflow of one run: hears decisions, walks the plan, takes back what a cancelled run did, and always ends its row."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestrator.contracts.messages import (
        Activity,
        BeginReply,
        Decision,
        RunEnd,
        RunInput,
        RunResult,
        StepRef,
        Workflow,
    )
    from orchestrator.domain.errors import Rejected, TocsinError
    from orchestrator.domain.run import BEFORE, Mode, RunStatus
    from orchestrator.engine.decide.change_pipeline import ask
    from orchestrator.engine.decide.interpreter import Interpreter
    from orchestrator.engine.decide.rollback import roll_back
    from orchestrator.engine.decide.scope import Declined, Place
    from orchestrator.engine.temporal.activity_calls import BOOKKEEPING, kept, regular
    from orchestrator.engine.temporal.inbox import Mail
    from orchestrator.engine.temporal.port import TemporalPort


@workflow.defn(name=Workflow.RUN)
class RunPlaybook:
    """Decides nothing itself: the interpreter does, over the port."""

    @workflow.init
    def __init__(self, given: RunInput) -> None:
        self._given = given
        self._mail = Mail()
        self._port = TemporalPort(given, self._mail, f"run:{given.run.run_id}")
        self._interpreter = Interpreter(self._port, given)
        self._walk: asyncio.Task[RunResult] | None = None
        self._cancelled_by: str | None = None

    @workflow.run
    async def run(self, given: RunInput) -> RunResult:
        """The whole run. Whatever goes wrong, the row says how it ended."""
        whole = asyncio.ensure_future(self._whole(given))
        while not whole.done():
            try:
                await asyncio.shield(whole)
            except asyncio.CancelledError:
                self.cancel_run("Temporal")
        return whole.result()

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """People have decided: the store knows what. To be told so again is no harm."""
        self._mail.hear(decision)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        self._mail.check(decision)

    @workflow.signal
    def nudge(self) -> None:
        """An alert has joined the incident."""
        self._mail.nudges += 1

    @workflow.signal
    def cancel_run(self, actor: str) -> None:
        """Stop, and take back what was done."""
        if self._cancelled_by is None:
            self._cancelled_by = actor
            self._mail.stopped = True  # a cancellation that comes with an activity's reply is lost to the task that waits for it
            if self._walk is not None:
                self._walk.cancel()

    async def _whole(self, given: RunInput) -> RunResult:
        self._walk = asyncio.ensure_future(self._walked(given))
        if self._cancelled_by is not None:
            self._walk.cancel()
        result = await self._outcome(self._walk)
        try:
            # By the server: a local reply is lost when a cancellation overtakes it, and the end would be told twice, differently.
            await regular(
                Activity.END,
                RunEnd(run=given.run, status=result.status, error=result.error),
                None,
                BOOKKEEPING,
            )
        except TocsinError:
            workflow.logger.exception("the end of the run could not be recorded")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    async def _walked(self, given: RunInput) -> RunResult:
        try:
            await self._begun(given)
        except Declined as no:
            return RunResult(status=RunStatus.DECLINED, error=f"it was not let begin: {no}")
        except Rejected as refused:
            return RunResult(status=RunStatus.FAILED, error=str(refused))
        return await self._interpreter.whole()

    async def _begun(self, given: RunInput) -> None:
        """With the store's word, and where that asks for it, with people's. Raises Rejected, Declined."""
        question = (
            await kept(Activity.BEGIN, given.run, BeginReply)
        ).question  # first, as it tells people of a version that was altered
        if given.plan.digest != given.run.plan_digest:
            raise Rejected("the plan that came with the run is not the one that it names")
        if question is not None:
            await ask(
                self._port,
                StepRef(run=given.run, path=BEFORE, seq=0),
                Place(names={}, steps={}),
                question,
                [],
            )

    async def _outcome(self, walk: asyncio.Task[RunResult]) -> RunResult:
        try:
            result = await walk
            if self._cancelled_by is None:
                return result
            reason = f"cancelled by {self._cancelled_by}"  # heard of before the end, if only just
        except asyncio.CancelledError:
            reason = f"cancelled by {self._cancelled_by or 'Temporal'}"
        except Exception as error:  # noqa: BLE001 - a bug must not leave a run hanging; what it did is taken back
            if not is_cancelled_exception(error):
                workflow.logger.exception("the run failed inside the engine")
                return await self._back(
                    RunStatus.FAILED, f"inside the engine: {type(error).__name__}: {error}"
                )
            reason = f"cancelled by {self._cancelled_by or 'Temporal'}"
        return await self._back(RunStatus.CANCELLED, reason)

    async def _back(self, status: RunStatus, reason: str) -> RunResult:
        problems: list[str] = []
        try:
            if self._given.run.mode is Mode.LIVE:
                problems = await roll_back(self._port, reason)
        except Exception as error:  # noqa: BLE001 - as above
            workflow.logger.exception("taking back failed inside the engine")
            problems = [f"not all was taken back: {type(error).__name__}: {error}"]
        return RunResult(
            status=status,
            error="; ".join([reason, *problems]),
            steps=self._interpreter.next_seq - 1,
        )
