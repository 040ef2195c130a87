"""Names that Temporal sees: the task queue, workflow types, activity types and error types."""

from __future__ import annotations

from enum import StrEnum

TASK_QUEUE = "tocsin"


def run_workflow_id(run_id: str, attempt: int) -> str:
    """Return the id of the workflow of a run's attempt; ids of its children begin with it."""
    return f"run-{run_id}-{attempt}"


def release_workflow_id(containment_key: str) -> str:
    """Return the id of the workflow that releases a containment: one at a time."""
    return f"release-{containment_key}"


def check_workflow_id(containment_key: str) -> str:
    """Return the id of the workflow that checks a containment for drift: one at a time."""
    return f"check-{containment_key}"


class Workflow(StrEnum):
    """Workflow types."""

    RUN = "RunPlaybook"
    BATCH = "RunBatch"
    RELEASE = "EndLeases"
    CHECK = "CheckContainment"
    ROLL_BACK = "RollBack"
    ANSWER_REQUEST = "AnswerRequest"
    DEBUG = "DebugSession"


class Activity(StrEnum):
    """Activity types."""

    READ = "read"
    PLAN = "plan"
    APPLY = "apply"
    VERIFY = "verify"
    UNDO = "undo"
    LIST_UNDOABLE = "list_undoable"
    HOLD = "hold"
    LIST_DUE = "list_due"
    CHECK_DRIFT = "check_drift"
    ASK = "ask"
    READ_DECISION = "read_decision"
    CLOSE_APPROVAL = "close_approval"
    RECORD = "record"
    BEGIN = "begin"
    END = "end"
    LIST_EVENTS = "list_events"
    HANDLE_REQUEST = "handle_request"
    DEBUG_START_STEP = "debug_start_step"
    DEBUG_AWAIT_STEP = "debug_await_step"
    DEBUG_UNDO_STEP = "debug_undo_step"
    DEBUG_END = "debug_end"


class ErrorType(StrEnum):
    """The `type` of an ApplicationError that an activity raises."""

    UNAVAILABLE = "Unavailable"
    REJECTED = "Rejected"
    UNKNOWN = "Unknown"
    HALTED = "Halted"
