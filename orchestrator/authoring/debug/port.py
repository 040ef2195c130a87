"""The port of a debug session on Temporal: real reads and plans, whose results stay in memory."""

# ruff: noqa: ARG002  the signatures are the port's

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from orchestrator.contracts.batch import BatchReply
from orchestrator.contracts.change import PlanReply, PlanRequest, ReadReply, StepCall
from orchestrator.contracts.debug import DebugStep
from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.masking import mask_secrets
from orchestrator.domain.run import StepFailure, StepState, WaitingFor
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import StepScope
from orchestrator.engine.temporal.activity_calls import read_activity
from orchestrator.playbook.plan import ForEach, Use


class DebugPort:
    """The port of one session, which is a dry run: nothing can be applied through it."""

    def __init__(self, run: RunContext, interpreter: Callable[[int], Interpreter]) -> None:
        self._run = run
        self._interpreter = interpreter
        self.steps: dict[str, DebugStep] = {}

    @property
    def run(self) -> RunContext:
        """The session as a dry run."""
        return self._run

    async def read(self, step: Use, call: StepCall) -> dict[str, Any]:
        """Return the answer of the real system."""
        output = (await read_activity(Activity.READ, call, ReadReply, step)).output
        self._keep(call.ref, step.kind, StepState.DONE, mask_secrets(output), None)
        return output

    async def plan(
        self,
        step: Use,
        call: StepCall,
        *,
        lease: bool,
        hold: int | None,
        approved: Collection[str] | None = None,
    ) -> PlanReply:
        """Return what the real system would change, and the policy's verdict. Takes no lease."""
        request = PlanRequest(call=call, hold_seconds=hold)
        reply = await read_activity(Activity.PLAN, request, PlanReply, step)
        planned_change = mask_secrets(reply.change.planned_change)
        self._keep(call.ref, step.kind, StepState.PLANNED, planned_change, None)
        return reply

    def begin(self, ref: StepRef, kind: str) -> None:
        """Do nothing: only what became of a step counts."""

    async def note(
        self,
        ref: StepRef,
        kind: str,
        state: StepState,
        *,
        result: Any = None,
        error: str | None = None,
        failure: StepFailure | None = None,
        asked: dict[str, Any] | None = None,
        waiting_for: WaitingFor | None = None,
    ) -> None:
        """Keep a step's state; its result stays if there is no newer one."""
        before = self.steps.get(ref.path)
        shown = mask_secrets(result) if result is not None else before.result if before else None
        self._keep(ref, kind, state, shown, error)

    async def batch(
        self,
        ref: StepRef,
        step: ForEach,
        first: int,
        items: list[Any],
        scope: StepScope,
        next_seq: int,
    ) -> BatchReply:
        """Run a slice of a `for_each` in this session."""
        batch = self._interpreter(next_seq)
        outcomes = await batch.run_batch(step, first, items, scope)
        return BatchReply(items=outcomes, next_seq=batch.next_seq)

    def _keep(
        self, ref: StepRef, kind: str, state: StepState, result: Any, error: str | None
    ) -> None:
        self.steps[ref.path] = DebugStep(
            path=ref.path, kind=kind, state=state, result=result, error=error
        )
