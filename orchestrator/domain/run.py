"""A run and its steps: the states they pass through."""

from enum import StrEnum

SHADOW = "shadow"
"""The stage of a version that only runs dry, and who starts its runs."""
DEBUG = "debug"
"""The stage of a version that holds one step of a draft, carried out in a debug session: nothing starts it again."""

BEFORE = "(before the first step)"
"""Where a run stands that people have to let begin; no step is called so."""


class RunStatus(StrEnum):
    """The life of a run. `running` and `waiting` are open; the others are final."""

    RUNNING = "running"
    WAITING = "waiting"  # on a person, or on an event
    COMPLETED = "completed"
    FAILED = "failed"
    DECLINED = "declined"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"

    @property
    def open(self) -> bool:
        """Whether it can still change."""
        return self in {RunStatus.RUNNING, RunStatus.WAITING}


class StepState(StrEnum):
    """The life of a step."""

    PLANNED = "planned"
    WAITING = "waiting"
    INTENDED = "intended"  # the intent is recorded; the call is about to be, or was, made
    APPLIED = "applied"  # the vendor answered; not read back yet
    VERIFIED = "verified"
    DONE = "done"  # a step without effect, or with nothing to change
    SKIPPED = "skipped"
    REFUSED = "refused"  # by policy
    DECLINED = "declined"  # by a person
    FAILED = "failed"
    UNDONE = "undone"
    RELEASED = "released"  # its lease ended


class Mode(StrEnum):
    """Whether a run may change the world."""

    LIVE = "live"
    DRY_RUN = "dry_run"
