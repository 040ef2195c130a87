"""The port in memory: the interpreter over a stage, without a server; time passes at once."""

# ruff: noqa: ARG002  the signature is the Port's; a world of stubs needs only a part of it

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestrator.authoring.rehearsal.state import Stage
from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    BatchReply,
    Decision,
    PlanReply,
    RunContext,
    RunResult,
    StepRef,
    Undoable,
    UndoReply,
)
from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.interpreter import Interpreter
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.plan import Ask, ForEach, Retry, Use


async def played(stage: Stage, until: timedelta | None = None) -> tuple[RunResult, timedelta]:
    """The run's end, and how long it took in its own time; `until`: so long leases are watched after it."""
    world = World(stage)
    result = await Interpreter(world, stage.given).whole()
    ended = world.now()
    if until is not None:
        world.pass_until(ended + until)
    return result, ended - stage.given.started_at


class World:
    """One run's."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._now = stage.given.started_at

    @property
    def run(self) -> RunContext:
        """Which run this is."""
        return self._stage.given.run

    def now(self) -> datetime:
        """A clock that waiting moves."""
        return self._now

    def pass_until(self, moment: datetime) -> None:
        """Time passes, and leases end in it."""
        while (end := self._stage.next_end()) is not None and end <= moment:
            self._now = max(self._now, end)
            for path in self._stage.due(self._now):
                self._stage.release(path)
        self._now = max(self._now, moment)

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """The stub's output; tried again as often as the step says."""
        retry = step.retry or Retry()
        for attempt in range(1, retry.attempts + 1):
            try:
                return self._stage.read(call)
            except TocsinError as error:
                if type(error).__name__ != "Unavailable" or attempt == retry.attempts:
                    raise
                self._later(min(max(retry.wait, 1) * 2 ** (attempt - 1), 300))
        raise AssertionError("a step is tried at least once")

    async def plan(
        self, step: Use, call: ActionCall, *, lease: bool, hold: int | None
    ) -> PlanReply:
        """Something to change, unless the stub says that there is nothing."""
        return self._stage.plan(call, self._now)

    async def apply(
        self, step: Use, call: ActionCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Recorded as applied, unless the stub fails; tried again as often as the step says."""
        retry = step.retry or Retry()
        for attempt in range(1, retry.attempts + 1):
            try:
                return self._stage.apply(call, change, self._now)
            except TocsinError as error:
                if type(error).__name__ != "Unavailable" or attempt == retry.attempts:
                    raise
                self._later(min(max(retry.wait, 1) * 2 ** (attempt - 1), 300))
        raise AssertionError("a step is tried at least once")

    async def verify(
        self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """A stub does what it says, unless it only accepts."""
        return self._stage.verify(call)

    async def hold(self, ref: StepRef, containment_key: str, seconds: int | None) -> None:
        """The clock of a lease."""
        self._stage.hold(ref, seconds, self._now)

    async def undo(self, path: str, reason: str) -> UndoReply:
        """Takes back what this run applied there."""
        return self._stage.undo(path)

    async def undo_all(self, paths: Sequence[str], reason: str) -> Sequence[UndoReply]:
        """One after the other."""
        return [self._stage.undo(path) for path in paths]

    async def to_undo(self) -> Sequence[Undoable]:
        """Newest first."""
        return self._stage.to_undo()

    async def ask_change(
        self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question
    ) -> Decision:
        """The case's next answer."""
        decision = self._stage.ask(ref.path, question, changes, None, escalated=asked.escalated)
        if decision.state == "expired":
            self._later(asked.within)
        return decision

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """The case's next answer: a mapping is the filled form."""
        decision = self._stage.ask(ref.path, question, (), step.form, escalated=False)
        if decision.state == "expired":
            self._later(step.within)
        return decision

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """The case's further alerts, each when its time has come."""
        return self._stage.events(self._now)

    async def nudged(self, seconds: float) -> None:
        """Nobody nudges."""
        self._later(seconds)

    async def sleep(self, seconds: int) -> None:
        """At once."""
        self._later(seconds)

    async def note(
        self,
        ref: StepRef,
        kind: str,
        state: StepState,
        *,
        result: Any = None,
        error: str | None = None,
        inputs: Any = None,
        asked: dict[str, Any] | None = None,
    ) -> None:
        """Kept by path."""
        self._stage.note(ref.path, state, result, error)

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchReply:
        """As a run of its own would do it."""
        slice_ = Interpreter(self, self._stage.given.model_copy(update={"next_seq": next_seq}))
        return BatchReply(
            items=await slice_.slice(step, first, items, place), next_seq=slice_.next_seq
        )

    def _later(self, seconds: float) -> None:
        self.pass_until(self._now + timedelta(seconds=seconds))
