"""What the interpreter needs of the world: act, ask, wait, note. Temporal gives it to a run, memory to a rehearsal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from orchestrator.contracts.messages import (
    ActionCall,
    ApplyReply,
    BatchReply,
    Decision,
    PlanReply,
    RunContext,
    StepRef,
    Undoable,
    UndoReply,
)
from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change
from orchestrator.domain.run import StepState
from orchestrator.engine.decide.scope import Place
from orchestrator.playbook.plan import Ask, ForEach, Use


class Port(Protocol):
    """Every method may raise ActionError (see domain.errors); nothing here decides."""

    async def read(self, step: Use, call: ActionCall) -> dict[str, Any]:
        """Carry out a read."""

    async def plan(
        self, step: Use, call: ActionCall, *, lease: bool, hold: int | None
    ) -> PlanReply:
        """Plan a change; with `lease`, register this run's lease on it."""

    async def apply(
        self, step: Use, call: ActionCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Judge again, record the intent, carry out."""

    async def verify(
        self, step: Use, call: ActionCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """Read the device back."""

    async def hold(self, ref: StepRef, containment_key: str, seconds: int | None) -> None:
        """Have the containment watched, and start the clock of the lease where it has an end."""

    async def undo(self, path: str, reason: str) -> UndoReply:
        """End the step's lease, and take back what it changed. Raises ActionError."""

    async def undo_all(self, paths: Sequence[str], reason: str) -> Sequence[UndoReply]:
        """Take back one step after the other; one that cannot be is `stuck`, and the others are taken back all the same."""

    async def to_undo(self) -> Sequence[Undoable]:
        """What this run can take back, newest first."""

    async def ask_change(
        self, ref: StepRef, question: str, changes: Sequence[Change], asked: Question
    ) -> Decision:
        """Ask people about exact changes and wait for the decision or the end of the time."""

    async def ask_form(self, ref: StepRef, question: str, step: Ask) -> Decision:
        """Ask people to fill a form and wait."""

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Alerts that joined the incident since then."""

    async def nudged(self, seconds: float) -> None:
        """Wait until told that an alert has come, or for so many seconds."""

    async def sleep(self, seconds: int) -> None:
        """Wait."""

    def now(self) -> datetime:
        """The present moment."""

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
        """Record where a step stands. `asked`: in a dry run, whom it would ask."""

    async def batch(
        self, ref: StepRef, step: ForEach, first: int, items: list[Any], place: Place, next_seq: int
    ) -> BatchReply:
        """Run a slice of a long `for_each` in a history of its own."""

    @property
    def run(self) -> RunContext:
        """Which run this is."""
