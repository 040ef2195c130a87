"""The steps that a debug session applied: each in a live run of its own, undone at the end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

from orchestrator.authoring.debug.stepper import Upcoming, UpcomingCall
from orchestrator.contracts.debug import (
    AppliedStep,
    ApplyStepRequest,
    AwaitStepRequest,
    DebugInput,
    StepRunEnd,
    UndoStepRequest,
)
from orchestrator.contracts.names import Activity
from orchestrator.domain.change import Effect
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import RunStatus
from orchestrator.engine.temporal.activity_calls import HEARTBEAT, STORE_RETRY, remote_activity
from orchestrator.playbook.plan import AnyStep, Use
from orchestrator.policy.inputs import LOOKUPS

MAX_LOOK_UPS = 20
LONGEST_RUN = timedelta(days=1)
"""How long a session waits for the run of a step, people's approvals included."""
_UNDOABLE = {Effect.CONTAIN, Effect.RESTORE}


class AppliedSteps:
    """The applied steps of one session."""

    def __init__(self, given: DebugInput) -> None:
        self.is_busy = False  # a step is being applied
        self.message: str | None = None  # how the last one ended
        self._given = given
        self._look_ups: dict[str, tuple[Use, dict[str, Any]]] = {}
        self._by_run: dict[str, AppliedStep] = {}
        self._starting: asyncio.Task[str] | None = None
        self._keeps = False

    @property
    def steps(self) -> tuple[AppliedStep, ...]:
        """All applied steps, in their order."""
        return tuple(self._by_run.values())

    def keep(self) -> None:
        """Leave all steps in force at the end, those applied before included."""
        self._keeps = True
        for run_id in self._by_run:
            self._update(run_id, kept=True)

    def note_look_up(self, step: AnyStep, upcoming: Upcoming | None) -> None:
        """Remember a look-up of a target.

        The other names of a target decide whether it may be changed, so an applied step repeats it.
        """
        if (
            isinstance(step, Use)
            and step.action in LOOKUPS
            and upcoming is not None
            and len(self._look_ups) < MAX_LOOK_UPS
        ):
            with suppress(TocsinError):
                call = upcoming().call
                self._look_ups[call.ref.path] = (step, call.input)

    async def apply(self, step: Use, upcoming: UpcomingCall, target: str) -> StepRunEnd | None:
        """Apply a step and wait for its run; return how it ended, or None if it failed."""
        context = self._given.run.run
        run_id = _new_run_id()
        request = ApplyStepRequest(
            run_id=run_id,
            draft=self._given.run.plan,
            step=step,
            call=upcoming.call,
            question=upcoming.question,
            looked_up=tuple(self._look_ups.values()),
            alert_id=self._given.alert_id,
            session_id=context.run_id,
            actor=context.started_by,
        )
        self.is_busy = True
        self._by_run[run_id] = AppliedStep(
            path=upcoming.call.ref.path,
            target=target,
            run_id=run_id,
            status=RunStatus.RUNNING.value,
            can_be_undone=step.effect in _UNDOABLE,
            kept=self._keeps,
        )
        try:
            self._starting = asyncio.create_task(
                remote_activity(Activity.DEBUG_START_STEP, request, str, STORE_RETRY)
            )
            await asyncio.shield(self._starting)
            end = await _wait_for_end(AwaitStepRequest(run_id=run_id, step_id=step.id))
        except (TocsinError, ActivityError) as error:
            self.message = str(error)
            if self._starting is not None and self._starting.done() and _failed(self._starting):
                del self._by_run[run_id]
            return None
        finally:
            self.is_busy = False
        self._update(run_id, status=end.status.value)
        self.message = f"run {run_id} is {end.status.value}" + (
            f": {end.error}" if end.error else ""
        )
        return end if end.status is RunStatus.COMPLETED else None

    async def undo(self) -> None:
        """Undo all steps that are not kept. What cannot be undone now, its lease ends."""
        if self._starting is not None:
            with suppress(TocsinError, asyncio.CancelledError):
                await self._starting  # so that a run that starts just now is undone too
        for applied in self.steps:
            if applied.kept or applied.undone:
                continue
            request = UndoStepRequest(run_id=applied.run_id, actor=self._given.run.run.started_by)
            try:
                await remote_activity(Activity.DEBUG_UNDO_STEP, request, None, STORE_RETRY)
            except TocsinError as error:
                workflow.logger.warning("debug step left to its lease: %s", error)
                continue
            self._update(applied.run_id, undone=applied.can_be_undone)

    def _update(self, run_id: str, **fields: Any) -> None:
        self._by_run[run_id] = self._by_run[run_id].model_copy(update=fields)


def _new_run_id() -> str:
    """Return an id as `domain.digest.new_id` does, deterministically."""
    milliseconds = int(workflow.now().timestamp() * 1000)
    return f"run_{milliseconds:012x}{workflow.uuid4().hex[:20]}"


async def _wait_for_end(request: AwaitStepRequest) -> StepRunEnd:
    end: StepRunEnd = await workflow.execute_activity(
        Activity.DEBUG_AWAIT_STEP,
        request,
        result_type=StepRunEnd,
        start_to_close_timeout=LONGEST_RUN,
        heartbeat_timeout=HEARTBEAT,
        retry_policy=STORE_RETRY,
        cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
    )
    return end


def _failed(task: asyncio.Task[str]) -> bool:
    return not task.cancelled() and task.exception() is not None
