"""The part of the Temporal port that records steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio import workflow

from orchestrator.contracts.names import Activity
from orchestrator.contracts.run import StepRecord, StepRef
from orchestrator.domain.run import StepFailure, StepState, WaitingFor
from orchestrator.engine.temporal.activity_calls import store_activity


class TemporalStepLog:
    """The records of one run's steps."""

    def __init__(self) -> None:
        self._began_at: dict[str, datetime] = {}
        self._begun: dict[str, StepRecord] = {}  # not recorded yet

    def begin(self, ref: StepRef, kind: str) -> None:
        """Record with the next message that a step begins, which costs no activity."""
        began = self._began_at.setdefault(ref.path, workflow.now())
        self._begun[ref.path] = StepRecord(
            ref=ref, kind=kind, state=StepState.RUNNING, began_at=began
        )

    def take_begun(self) -> tuple[StepRecord, ...]:
        """Return the steps that began and are not recorded yet, for the next message."""
        begun = tuple(self._begun.values())
        self._begun.clear()
        return begun

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
        record = StepRecord(
            ref=ref,
            kind=kind,
            state=state,
            result=result,
            error=error,
            failure=failure,
            asked=asked,
            waiting_for=waiting_for,
            began_at=self._began_at.get(ref.path),
        )
        self._begun.pop(ref.path, None)
        await store_activity(Activity.RECORD, [*self.take_begun(), record], None)

    async def record_begun(self) -> None:
        """Record the steps that began, before a message that cannot."""
        if begun := self.take_begun():
            await store_activity(Activity.RECORD, list(begun), None)
