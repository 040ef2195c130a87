"""The ports of the interpreter: Temporal serves them in a run, memory in a rehearsal.

Every method may raise ActionError (see `domain.errors`). No method decides anything.

DryRunPort              a run that changes nothing: read, plan, note
└── LivePort            and: apply and undo, ask people, wait
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

from orchestrator.contracts.approval import AskedChange, Decision, Question
from orchestrator.contracts.batch import BatchReply
from orchestrator.contracts.change import (
    ApplyReply,
    PlanReply,
    StepCall,
    UndoableStep,
    UndoReply,
)
from orchestrator.contracts.run import RunContext, StepRef
from orchestrator.domain.change import Change
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.run import StepFailure, StepState, WaitingFor
from orchestrator.engine.decide.scope import StepScope
from orchestrator.playbook.plan import Ask, ForEach, Use


class Reader(Protocol):
    """Reads from systems."""

    async def read(self, step: Use, call: StepCall) -> dict[str, Any]:
        """Return the output of a read."""


class Planner(Protocol):
    """Plans changes."""

    async def plan(
        self,
        step: Use,
        call: StepCall,
        *,
        lease: bool,
        hold: int | None,
        approved: Collection[str] | None = None,
    ) -> PlanReply:
        """Return the exact change and the policy's verdict.

        `lease`: register the step's lease, unless people are still asked about the change.
        `approved`: the digests that they approved; None: the playbook asks no one.
        """


class StepLog(Protocol):
    """Records of steps."""

    def begin(self, ref: StepRef, kind: str) -> None:
        """Record with the next message that a step which calls no system itself begins."""

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
        """Record a step's state. `asked`: in a dry run, the approval that a live run asks for."""


class BatchPort(Protocol):
    """Batches of a long `for_each`."""

    async def batch(
        self,
        ref: StepRef,
        step: ForEach,
        first: int,
        items: list[Any],
        scope: StepScope,
        next_seq: int,
    ) -> BatchReply:
        """Run a slice of the items in a history of its own."""


class ChangePort(Protocol):
    """Applies and undoes changes."""

    async def apply(
        self, step: Use, call: StepCall, change: Change, approval_id: str | None
    ) -> ApplyReply:
        """Evaluate the policy again, record the intent, and apply."""

    async def verify(
        self, step: Use, call: StepCall, change: Change, output: dict[str, Any]
    ) -> bool:
        """Return whether the device shows the change."""

    async def hold(self, ref: StepRef, seconds: int) -> None:
        """Start the timer of the step's lease."""

    async def undo(
        self, paths: Sequence[str], cause: LeaseEndReason, reason: str
    ) -> Sequence[UndoReply]:
        """End the leases of steps and undo their changes, one by one. A failed one is `stuck`."""

    async def undoable_steps(self) -> Sequence[UndoableStep]:
        """Return the steps of this run that can be undone, newest first."""


class ApprovalPort(Protocol):
    """Asks people and waits for their decision or the end of the time."""

    async def ask_change(
        self, ref: StepRef, question: Question, changes: Sequence[AskedChange]
    ) -> Decision:
        """Ask for the approval of exact changes."""

    async def ask_form(self, ref: StepRef, question: Question, step: Ask) -> Decision:
        """Ask for a form to be filled in."""


class EventPort(Protocol):
    """Further alerts of the run's incident."""

    async def events(self, since: datetime) -> Sequence[dict[str, Any]]:
        """Return the alerts that joined the incident since then."""

    async def wait_for_event(self, seconds: float) -> None:
        """Wait until a new alert is signalled, but no longer than this."""


class RunClock(Protocol):
    """The run's clock."""

    def now(self) -> datetime:
        """Return the present moment."""

    async def sleep(self, seconds: int) -> None:
        """Wait."""


class DryRunPort(Reader, Planner, StepLog, BatchPort, Protocol):
    """All that a run needs that changes nothing."""

    @property
    def run(self) -> RunContext:
        """The identity of the run."""


class LivePort(DryRunPort, ChangePort, ApprovalPort, EventPort, RunClock, Protocol):
    """All that a live run needs."""
