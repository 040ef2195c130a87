"""The workflow of a debug session: the playbook pauses before its steps and takes commands."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

from temporalio import workflow

from orchestrator.authoring.debug.applied import AppliedSteps
from orchestrator.authoring.debug.display import MAX_SHOWN, fit_state, preview_plan
from orchestrator.authoring.debug.port import DebugPort
from orchestrator.authoring.debug.stepper import (
    Order,
    Override,
    Proceed,
    Skip,
    SteppingInterpreter,
    Upcoming,
    UpcomingCall,
)
from orchestrator.contracts.change import PlanReply
from orchestrator.contracts.debug import (
    CurrentStep,
    DebugCommand,
    DebugEnd,
    DebugInput,
    DebugPhase,
    DebugReply,
    DebugState,
)
from orchestrator.contracts.names import Activity, Workflow
from orchestrator.contracts.requests import RequestError
from orchestrator.contracts.run import RunResult, StepRef
from orchestrator.domain.errors import Conflict, Invalid, TocsinError
from orchestrator.domain.masking import mask_secrets
from orchestrator.engine.decide.scope import StepScope
from orchestrator.engine.temporal.activity_calls import store_activity
from orchestrator.playbook.language.evaluate import evaluate
from orchestrator.playbook.plan import AnyStep, Ask, CallPlaybook, Use, Wait, without_rounds

_OVERRIDABLE = {kind.model_fields["kind"].default for kind in (Use, Ask, Wait, CallPlaybook)}


@workflow.defn(name=Workflow.DEBUG)
class DebugSession:
    """One person's session. Only the command `apply` changes anything, and the end undoes it."""

    @workflow.init
    def __init__(self, given: DebugInput) -> None:
        self._given = given
        self._port = DebugPort(given.run.run, self._interpreter)
        self._applied = AppliedSteps(given)
        self._turn = asyncio.Lock()
        self._breakpoints: dict[str, None] = dict.fromkeys(given.breakpoints)
        self._is_stepping = not given.breakpoints
        self._order: DebugCommand | None = None
        self._commands = 0
        self._is_closing = False
        self._at: CurrentStep | None = None
        self._planned: PlanReply | None = None
        self._upcoming: UpcomingCall | None = None
        self._scope: StepScope | None = None
        self._message: str | None = None
        self._end: tuple[str, str | None] | None = None

    @workflow.run
    async def run(self, given: DebugInput) -> DebugState:
        """Step through the playbook, then undo what was applied; return the final state."""
        stepping = asyncio.create_task(self._interpreter(1).run_plan())
        try:
            end = await self._step_through(stepping, given.idle)
        except asyncio.CancelledError:
            end = ("ended", "the session was cancelled in Temporal")
        stepping.cancel()
        self._is_closing = True
        await self._applied.undo()
        ended = DebugEnd(run=given.run, result=end[0], applied=self._applied.steps)
        await store_activity(Activity.DEBUG_END, ended, None)
        self._at, self._end = None, end
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self.state()

    @workflow.query
    def state(self) -> DebugState:
        """Return the state of the session."""
        if self._end is not None:
            phase = DebugPhase.OVER
        elif self._applied.is_busy:
            phase = DebugPhase.APPLYING
        else:
            phase = DebugPhase.PAUSED if self._at else DebugPhase.WORKING
        result, error = self._end or (None, None)
        plan = self._given.run.plan
        state = DebugState(
            id=self._given.run.run.run_id,
            playbook=plan.playbook,
            version=plan.version,
            phase=phase,
            at=self._at,
            steps=tuple(self._port.steps.values()),
            breakpoints=tuple(self._breakpoints),
            applied=self._applied.steps,
            message=self._message,
            result=result,
            error=error,
        )
        return fit_state(state)

    @workflow.update
    async def begin(self) -> DebugReply:
        """Wait for the first stop, and return the state."""
        await self._settle()
        return DebugReply(state=self.state())

    @workflow.update
    async def command(self, command: DebugCommand) -> DebugReply:
        """Execute a command, and return the state at the next stop, or why it was refused."""
        try:
            await self._execute(command)
        except TocsinError as error:
            return DebugReply(error=RequestError.of(error))
        return DebugReply(state=self.state())

    @workflow.update
    async def close(self) -> DebugReply:
        """End the session; what it applied is undone, unless it is kept."""
        self._is_closing = True
        await workflow.wait_condition(lambda: self._end is not None)
        return DebugReply(state=self.state())

    async def reached(
        self, step: AnyStep, ref: StepRef, scope: StepScope, upcoming: Upcoming | None
    ) -> Order:
        """Pause before a step, one branch at a time, and return the order for it."""
        async with self._turn:
            if not self._is_stepping and not self._is_breakpoint(step, ref):
                self._applied.note_look_up(step, upcoming)
                return Proceed()
            self._scope = scope
            self._at = await self._look(step, ref, upcoming)
            try:
                return await self._wait_for_order(step, upcoming)
            finally:
                self._at = self._planned = self._upcoming = self._scope = None

    async def _step_through(
        self, stepping: asyncio.Task[RunResult], idle: timedelta
    ) -> tuple[str, str | None]:
        while not stepping.done() and not self._is_closing:
            seen = self._commands
            try:
                await workflow.wait_condition(
                    lambda seen=seen: (  # type: ignore[misc]
                        stepping.done() or self._is_closing or self._commands != seen
                    ),
                    timeout=idle,
                )
            except TimeoutError:
                if self._at is not None and not self._applied.is_busy:
                    minutes = idle.total_seconds() / 60
                    return "ended", f"no command for {minutes:g} minutes"
        if not stepping.done():
            return "ended", None
        try:
            found = stepping.result()
        except Exception as error:  # noqa: BLE001 - whatever a draft does wrong is shown to its author, here or never
            workflow.logger.warning("debug session failed", exc_info=error)
            text = f"the session failed ({type(error).__name__}); see the worker's log"
            return "ended", text
        return found.status.value, found.error

    async def _wait_for_order(self, step: AnyStep, upcoming: Upcoming | None) -> Order:
        while True:
            await workflow.wait_condition(lambda: self._order is not None)
            command, self._order = self._order, None
            assert command is not None  # noqa: S101 - the condition
            self._is_stepping = command.command != "continue"
            match command.command:
                case "skip":
                    return Skip()
                case "override":
                    return Override(command.result)
                case "apply":
                    if (order := await self._apply(step)) is not None:
                        return order
                case _:
                    self._applied.note_look_up(step, upcoming)
                    return Proceed()

    async def _look(self, step: AnyStep, ref: StepRef, upcoming: Upcoming | None) -> CurrentStep:
        """Return what a step would do now."""
        at = CurrentStep(path=ref.path, kind=step.kind)
        if not isinstance(step, Use) or upcoming is None:
            return at
        at = at.model_copy(
            update={"uses": f"{step.connection}.{step.action}", "effect": step.effect.value}
        )
        try:
            self._upcoming = found = upcoming()
            asked = found.question.text if found.question else None
            inputs = mask_secrets(found.call.input)
            at = at.model_copy(update={"inputs": inputs, "asked": asked})
            if step.effect.changes:
                self._planned = await self._port.plan(step, found.call, lease=False, hold=None)
                at = at.model_copy(update={"planned": preview_plan(self._planned)})
        except TocsinError as error:
            return at.model_copy(update={"problem": str(error)})
        return at

    async def _apply(self, step: AnyStep) -> Order | None:
        """Apply the step in a run of its own; return its result, or None to stay at the step."""
        if not isinstance(step, Use) or self._upcoming is None or self._planned is None:
            return None
        target = self._planned.change.target.value
        end = await self._applied.apply(step, self._upcoming, target)
        self._message = self._applied.message
        return Override(end.result) if end is not None else None

    async def _execute(self, command: DebugCommand) -> None:
        if self._end is not None or self._is_closing:
            raise Conflict("the debug session is over; begin another")
        self._commands += 1
        self._message = None
        match command.command:
            case "break":
                self._breakpoints[str(command.path)] = None
                return
            case "clear":
                self._breakpoints.pop(str(command.path), None)
                return
            case "keep":
                self._applied.keep()
                self._message = "applied steps stay after this session, until their lease ends"
                return
        if self._at is None or self._applied.is_busy or self._order is not None:
            raise Conflict("the debug session is at work; try again in a moment, or end it")
        if command.command == "show":
            self._message = self._show(str(command.expression))
            return
        self._check(command)
        self._order = command
        await self._settle()

    async def _settle(self) -> None:
        """Wait until the session is paused or over, but no longer than `answer_within`."""
        try:
            await workflow.wait_condition(self._is_settled, timeout=self._given.answer_within)
        except TimeoutError:
            return  # the state says what the session does

    def _is_settled(self) -> bool:
        if self._end is not None:
            return True
        return self._at is not None and self._order is None and not self._applied.is_busy

    def _interpreter(self, next_seq: int) -> SteppingInterpreter:
        run = self._given.run.model_copy(update={"next_seq": next_seq})
        return SteppingInterpreter(self._port, run, self)

    def _is_breakpoint(self, step: AnyStep, ref: StepRef) -> bool:
        return bool({ref.path, without_rounds(ref.path), step.id} & self._breakpoints.keys())

    def _check(self, command: DebugCommand) -> None:
        kind = self._at.kind if self._at else ""
        if command.command == "override" and kind not in _OVERRIDABLE:
            raise Invalid(f"cannot override a `{kind}`; override one of its steps or skip it")
        if command.command != "apply":
            return
        if self._planned is None:
            raise Invalid("nothing to apply here: this step plans no change")
        if self._given.run.alert is not None and self._given.alert_id is None:
            raise Invalid(
                "steps are applied only for an alert that Tocsin received; "
                "send it to a source, and debug with its id"
            )
        target = self._planned.change.target.value
        if command.target != target:
            raise Invalid(f"type the target exactly as it is planned: {target}")

    def _show(self, text: str) -> str:
        if (step := self._port.steps.get(text)) is not None:
            return step.model_dump_json(indent=2)[:MAX_SHOWN]
        if self._scope is None:
            raise Conflict("the debug session is at work; try again in a moment")
        found = mask_secrets(evaluate(f"${{{{ {text} }}}}", self._scope.variables()))
        return json.dumps(found, indent=2, ensure_ascii=False, default=str)[:MAX_SHOWN]
