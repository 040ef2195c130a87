"""The workflow of one run: hears decisions, walks the plan, takes back what a cancelled run did, and always ends its row."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orchestrator.domain.run import Mode, RunStatus
    from orchestrator.engine.contracts import Activity, Decision, RunEnd, RunInput, RunResult, Workflow
    from orchestrator.engine.interpreter import Interpreter
    from orchestrator.engine.workflows.temporal_port import BOOKKEEPING, Mail, TemporalPort, _regular


@workflow.defn(name=Workflow.RUN)
class RunPlaybook:
    """Decides nothing itself: the interpreter does, over the port."""

    @workflow.init
    def __init__(self, given: RunInput) -> None:
        self._given = given
        self._mail = Mail()
        self._task: asyncio.Task[RunResult] | None = None
        self._cancelled_by: str | None = None

    @workflow.run
    async def run(self, given: RunInput) -> RunResult:
        """The whole run. Whatever goes wrong, the row says how it ended."""
        port = TemporalPort(given, self._mail, f"run:{given.run.run_id}")
        interpreter = Interpreter(port, given)
        await _regular(Activity.BEGIN, given.run, None, BOOKKEEPING)
        self._task = asyncio.ensure_future(interpreter.whole())
        if self._cancelled_by is not None:
            self._task.cancel()
        result = await self._outcome(interpreter)
        await _regular(Activity.END, RunEnd(run=given.run, status=result.status, error=result.error), None, BOOKKEEPING)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return result

    @workflow.update
    def decide(self, decision: Decision) -> None:
        """People have decided. The same decision again is no harm."""
        self._mail.decisions.setdefault(decision.approval_id, decision)

    @decide.validator
    def _may_decide(self, decision: Decision) -> None:
        known = self._mail.decisions.get(decision.approval_id)
        if known is not None and known != decision:
            message = f"approval {decision.approval_id} was decided already"
            raise ValueError(message)

    @workflow.signal
    def nudge(self) -> None:
        """An alert has joined the incident."""
        self._mail.nudges += 1

    @workflow.signal
    def cancel_run(self, actor: str) -> None:
        """Stop, and take back what was done."""
        self._cancelled_by = actor
        if self._task is not None:
            self._task.cancel()

    async def _outcome(self, interpreter: Interpreter) -> RunResult:
        try:
            assert self._task is not None  # noqa: S101 - set by run, the only caller
            return await self._task
        except asyncio.CancelledError:
            who = self._cancelled_by or "Temporal"
            reason = f"cancelled by {who}"
        except Exception as error:  # noqa: BLE001 - a bug must not leave a run hanging; what it did is taken back
            if is_cancelled_exception(error):
                reason = f"cancelled by {self._cancelled_by or 'Temporal'}"
            else:
                workflow.logger.exception("the run failed inside the engine")
                return await self._back(interpreter, RunStatus.FAILED, f"inside the engine: {type(error).__name__}: {error}")
        return await self._back(interpreter, RunStatus.CANCELLED, reason)

    async def _back(self, interpreter: Interpreter, status: RunStatus, reason: str) -> RunResult:
        problems = [] if self._given.run.mode is Mode.DRY_RUN else await interpreter.roll_back(reason)
        return RunResult(status=status, error="; ".join([reason, *problems]), steps=interpreter.next_seq - 1)
