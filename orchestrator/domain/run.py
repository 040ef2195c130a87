"""States of runs and their steps, and what a step waits for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from orchestrator.domain.model import Frozen

SHADOW = "shadow"
"""The stage of a version that only runs dry, and the starter of its runs."""
DEBUG = "debug"
"""The stage of a version that holds one step of a debug session; nothing starts it again."""
BUILT_IN = "built_in"
"""The stage of a version that Tocsin makes itself; only its own command starts it."""
CONTAIN_BY_HAND = "contain-by-hand"
"""The playbook of containment by hand. A kill switch on it stops containment by hand."""
BUILT_IN_PLAYBOOKS = frozenset({CONTAIN_BY_HAND})
"""Names that no published playbook can have."""

BEFORE = "(before the first step)"
"""The path of a run that waits for an approval to begin; no step has this path."""


APPROVAL_STEP = "approval"
"""The kind of a row that shows an approval without a step, such as the one before a run."""


class RunStatus(StrEnum):
    """The life of a run. `running` and `waiting` are open, `deferred` has not begun."""

    RUNNING = "running"
    WAITING = "waiting"  # on a person, or on an event
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    DEFERRED = "deferred"  # its source has too many open runs: it begins once there is a place

    @property
    def open(self) -> bool:
        """Whether it has begun and can still act."""
        return self in {RunStatus.RUNNING, RunStatus.WAITING}

    @property
    def over(self) -> bool:
        """Whether it is final: nothing happens any more without a retry."""
        return not self.open and self is not RunStatus.DEFERRED


class StepState(StrEnum):
    """The life of a step."""

    RUNNING = "running"
    PLANNED = "planned"
    WAITING = "waiting"  # for what its `waiting_for` names
    INTENDED = "intended"  # the intent is recorded; the call is about to be, or was, made
    APPLIED = "applied"  # the vendor answered; not read back yet
    VERIFIED = "verified"
    DONE = "done"  # a step without effect, or with nothing to change
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"  # the run ended while the step waited; a retry waits again
    UNDETERMINED = "undetermined"  # a dry run cannot tell what the step would do
    REFUSED = "refused"  # by policy
    DECLINED = "declined"  # by a person
    FAILED = "failed"
    UNDONE = "undone"
    RELEASED = "released"  # its lease ended

    @property
    def is_final(self) -> bool:
        """Whether the step has ended. A rollback or a release may follow."""
        return self not in {
            StepState.RUNNING,
            StepState.PLANNED,
            StepState.WAITING,
            StepState.INTENDED,
            StepState.APPLIED,
        }

    @property
    def can_be_undone(self) -> bool:
        """Whether an undo, or the end of the step's lease, becomes its state."""
        return self in {
            StepState.INTENDED,
            StepState.APPLIED,
            StepState.VERIFIED,
            StepState.DONE,
            StepState.FAILED,
        }

    @property
    def can_wait(self) -> bool:
        """Whether the step, or its undo, may wait for something."""
        return not self.is_final or self.can_be_undone

    @property
    def is_without_effect(self) -> bool:
        """Whether the step has not reached, or will not reach, a change."""
        return self in {
            StepState.REFUSED,
            StepState.DECLINED,
            StepState.FAILED,
            StepState.RUNNING,
            StepState.PLANNED,
            StepState.WAITING,
            StepState.INTERRUPTED,
        }


class StepFailure(StrEnum):
    """Why a step failed, where code needs to know."""

    NOT_VERIFIED = "not_verified"  # the device does not show what it reported as applied
    TIMED_OUT = "timed_out"  # the step's own timeout passed


class Mode(StrEnum):
    """Whether a run may change the world."""

    LIVE = "live"
    DRY_RUN = "dry_run"


class WaitingForApproval(Frozen):
    """People are asked."""

    kind: Literal["approval"] = "approval"
    approval_id: str
    expires_at: AwareDatetime = Field(description="When the approval expires.")


class WaitingForEvent(Frozen):
    """A further alert of the run's incident."""

    kind: Literal["event"] = "event"
    event: str = Field(description="The condition that the alert has to meet.")
    expires_at: AwareDatetime = Field(description="When the wait ends without it.")


class WaitingForTime(Frozen):
    """A moment."""

    kind: Literal["time"] = "time"
    expires_at: AwareDatetime = Field(description="When the wait ends.")


class WaitingForRetry(Frozen):
    """The next try of a call that did not succeed."""

    kind: Literal["retry"] = "retry"
    error: str = Field(description="Why the last try did not succeed.")
    attempt: int = Field(description="The number of the last try.")
    attempts: int | None = Field(
        description="How many tries the step has; null for an undo, which is tried without end."
    )
    retry_at: AwareDatetime = Field(description="When the step is tried again.")


class WaitingForTarget(Frozen):
    """The end of another change of the same target, or of one that overlaps it."""

    kind: Literal["target"] = "target"
    reason: str = Field(description="What is under way.")
    run_id: str | None = Field(
        description="The run that makes the change; null for a release or a drift check."
    )
    retry_at: AwareDatetime | None = Field(
        description="When Tocsin looks again; null: within 15 seconds."
    )


class WaitingForKillSwitch(Frozen):
    """The end of a kill switch that stops releases too."""

    kind: Literal["kill_switch"] = "kill_switch"
    reason: str = Field(description="Which switch, and why it was engaged.")
    retry_at: AwareDatetime = Field(description="When Tocsin looks again.")


WaitingFor = Annotated[
    WaitingForApproval
    | WaitingForEvent
    | WaitingForTime
    | WaitingForRetry
    | WaitingForTarget
    | WaitingForKillSwitch,
    Field(discriminator="kind"),
]

WAITING_FOR: TypeAdapter[WaitingFor] = TypeAdapter(WaitingFor)
"""Reads what a step's row holds."""
