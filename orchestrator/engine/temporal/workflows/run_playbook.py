"""The workflow of a run: its decisions, its cancellation, its rollback, its recorded end."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

from orchestrator.contracts.approval import BeginReply, Decision
from orchestrator.contracts.names import Activity, Workflow
from orchestrator.contracts.run import RunEnd, RunInput, RunResult, StepRef
from orchestrator.domain.errors import Rejected, TocsinError
from orchestrator.domain.run import BEFORE, Mode, RunStatus
from orchestrator.engine.decide.approvals import ask_people
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.rollback import roll_back
from orchestrator.engine.decide.scope import Declined, StepScope
from orchestrator.engine.temporal.activity_calls import store_activity
from orchestrator.engine.temporal.inbox import Inbox
from orchestrator.engine.temporal.port import TemporalPort


@workflow.defn(name=Workflow.RUN)
class RunPlaybook:
    """Decides nothing itself: the interpreter does, over the port."""

    @workflow.init
    def __init__(self, given: RunInput) -> None:
        self._given = given
        self._inbox = Inbox()
        self._port = TemporalPort(given, self._inbox)
        self._interpreter = Interpreter(self._port, given, self._port)
        self._steps: asyncio.Task[RunResult] | None = None
        self._cancelled_by: str | None = None

    @workflow.run
    async def run(self, given: RunInput) -> RunResult:
        """Run the playbook. Whatever goes wrong, the end of the run is recorded."""
        whole = asyncio.ensure_future(self._run_and_record(given))
        while not whole.done():
            try:
                await asyncio.shield(whole)
            except asyncio.CancelledError:
                self.cancel_run("Temporal")
        return whole.result()

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """Look up an approval of this run that is decided. Idempotent."""
        self._inbox.report(decision)

    @decide.validator
    def _validate_decision(self, decision: Decision) -> None:
        self._inbox.validate(decision)

    @workflow.signal
    def notify_new_alert(self) -> None:
        """Look for a new alert in the incident."""
        self._inbox.new_alerts += 1

    @workflow.signal
    def cancel_run(self, actor: str) -> None:
        """Stop the run and undo its changes."""
        if self._cancelled_by is None:
            self._cancelled_by = actor
            # A cancellation that arrives with an activity's reply is lost to the waiting task.
            self._inbox.is_cancelled = True
            if self._steps is not None:
                self._steps.cancel()

    async def _run_and_record(self, given: RunInput) -> RunResult:
        self._steps = asyncio.ensure_future(self._run_steps(given))
        if self._cancelled_by is not None:
            self._steps.cancel()
        result = await self._outcome(self._steps)
        end = RunEnd(run=given.run, status=result.status, error=result.error)
        try:
            # A cancellation that overtakes the reply has this done twice: the first end stands.
            status = await store_activity(Activity.END, end, RunStatus)
            result = result.model_copy(update={"status": status})
        except TocsinError:
            workflow.logger.exception("end of run not recorded")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    async def _run_steps(self, given: RunInput) -> RunResult:
        try:
            await self._begin(given)
        except Declined as error:
            return RunResult(status=RunStatus.DECLINED, error=f"the run did not begin: {error}")
        except Rejected as error:
            return RunResult(status=RunStatus.FAILED, error=str(error))
        return await self._interpreter.run_plan()

    async def _begin(self, given: RunInput) -> None:
        """Begin with the store's consent, and with that of people where it demands that.

        Raise Rejected, Declined.
        """
        # Before the digest is compared, as it notifies people of a version that was altered.
        reply = await store_activity(Activity.BEGIN, given.run, BeginReply)
        if given.plan.digest != given.run.plan_digest:
            raise Rejected("the plan of the run is not the one that its digest names")
        if reply.question is not None:
            ref = StepRef(run=given.run, path=BEFORE, seq=0)
            await ask_people(self._port, ref, StepScope(names={}, steps={}), reply.question, [])

    async def _outcome(self, steps: asyncio.Task[RunResult]) -> RunResult:
        try:
            result = await steps
            if self._cancelled_by is None:
                return result  # else: cancelled just before the end
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - a bug must not leave a run hanging
            if not is_cancelled_exception(error):
                workflow.logger.exception("run failed inside the engine")
                reason = f"inside the engine: {type(error).__name__}: {error}"
                return await self._roll_back(RunStatus.FAILED, reason)
        reason = f"cancelled by {self._cancelled_by or 'Temporal'}"
        return await self._roll_back(RunStatus.CANCELLED, reason)

    async def _roll_back(self, status: RunStatus, reason: str) -> RunResult:
        problems: list[str] = []
        try:
            if self._given.run.mode is Mode.LIVE:
                problems = await roll_back(self._port, reason)
        except Exception as error:  # noqa: BLE001 - as above
            workflow.logger.exception("rollback failed inside the engine")
            problems = [f"not everything was undone: {type(error).__name__}: {error}"]
        return RunResult(
            status=status,
            error="; ".join([reason, *problems]),
            steps=self._interpreter.next_seq - 1,
        )
