"""The port in memory: a run over a rehearsal state, without a server; waits pass at once."""

# ruff: noqa: ARG002  the signatures are the port's; stubs need only a part of them

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from orchestrator.authoring.rehearsal.state import RehearsalState
from orchestrator.contracts.approval import AskedChange, Decision, Question
from orchestrator.contracts.batch import BatchReply
from orchestrator.contracts.change import (
    ApplyReply,
    PlanReply,
    StepCall,
    UndoableStep,
    UndoReply,
)
from orchestrator.contracts.run import RunContext, RunResult, StepRef
from orchestrator.domain.change import Change
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.run import StepFailure, StepState, WaitingFor
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.plan import Ask, ForEach, Retry, Use

T = TypeVar("T")
_LONGEST_PAUSE = 300
"""Seconds between two tries."""


async def play_in_memory(
    state: RehearsalState, until: timedelta | None = None
) -> tuple[RunResult, timedelta]:
    """Play a run to its end; return its result, and how long it took in its own time.

    Leases are watched for `until` after the run.
    """
    port = MemoryPort(state)
    result = await Interpreter(port, state.given, port).run_plan()
    ended = port.now()
    if until is not None:
        port.pass_until(ended + until)
    return result, ended - state.given.started_at


class MemoryPort:
    """The port of one run in memory."""

    def __init__(self, state: RehearsalState) -> None:
        self._state = state
        self._now = state.given.started_at

    @property
    def run(self) -> RunContext:
        """The identity of the run."""
        return self._state.given.run

    def now(self) -> datetime:
        """Return the time of the run, which waits move."""
        return self._now

    def pass_until(self, moment: datetime) -> None:
        """Let time pass; leases end in it."""
        self._state.end_leases(moment)
        self._now = max(self._now, moment)

    async def read(self, step: Use, call: StepCall) -> dict[str, Any]:
        """Return the stub's output, retried as the step says."""
        return self._retried(step, lambda: self._state.read(call))

    async def plan(
        self,
        step: Use,
        call: StepCall,
        *,
        lease: bool,
        hold: int | None,
        approved: Collection[str] | None = None,
    ) -> PlanReply:
        """Plan a change, or none when the stub says so."""
        return self._state.plan(call, self._now)

    async def apply(
        self, step: Use, call: StepCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Record a change as applied, unless the stub fails; retried as the step says."""
        return self._retried(step, lambda: self._state.apply(call, change, self._now))

    async def verify(
        self, step: Use, call: StepCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """Return whether the stub did what it said."""
        return self._state.verify(call)

    async def hold(self, ref: StepRef, seconds: int) -> None:
        """Start a lease."""
        self._state.hold(ref, seconds, self._now)

    async def undo(
        self, paths: Sequence[str], cause: LeaseEndReason, reason: str
    ) -> Sequence[UndoReply]:
        """Undo what this run applied in these steps."""
        return [self._state.undo(path) for path in paths]

    async def undoable_steps(self) -> Sequence[UndoableStep]:
        """Return the steps that can be undone, newest first."""
        return self._state.undoable_steps()

    async def ask_change(
        self, ref: StepRef, question: Question, changes: Sequence[AskedChange]
    ) -> Decision:
        """Return the next answer of the case."""
        planned = [each.change for each in changes]
        decision = self._state.ask(ref.path, question, planned, None)
        if decision.state == "expired":
            self._later(question.within)
        return decision

    async def ask_form(self, ref: StepRef, question: Question, step: Ask) -> Decision:
        """Return the next answer of the case; a mapping is the filled form."""
        decision = self._state.ask(ref.path, question, (), step.form)
        if decision.state == "expired":
            self._later(step.within)
        return decision

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Return the further alerts that have come by now."""
        return self._state.events(self._now)

    async def wait_for_event(self, seconds: float) -> None:
        """Let the time pass; no alert is signalled."""
        self._later(seconds)

    async def sleep(self, seconds: int) -> None:
        """Let the time pass."""
        self._later(seconds)

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
        """Record a step's state."""
        self._state.note(ref.path, state, result, error)

    async def batch(
        self,
        ref: StepRef,
        step: ForEach,
        first: int,
        items: list[Any],
        scope: StepScope,
        next_seq: int,
    ) -> BatchReply:
        """Run a slice of a `for_each`, as a child run would."""
        batch = self._interpreter(next_seq)
        outcomes = await batch.run_batch(step, first, items, scope)
        return BatchReply(items=outcomes, next_seq=batch.next_seq)

    def _interpreter(self, next_seq: int) -> Interpreter:
        given = self._state.given.model_copy(update={"next_seq": next_seq})
        return Interpreter(self, given, self)

    def _retried(self, step: Use, act: Callable[[], T]) -> T:
        retry = step.retry or Retry()
        for attempt in range(1, retry.attempts):
            try:
                return act()
            except Unavailable:
                self._later(min(max(retry.wait, 1) * 2 ** (attempt - 1), _LONGEST_PAUSE))
        return act()

    def _later(self, seconds: float) -> None:
        self.pass_until(self._now + timedelta(seconds=seconds))
