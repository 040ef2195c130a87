"""What crosses between workflow and activity: names, requests, replies. Pure, so that both sides may import it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AwareDatetime

from orchestrator.contracts.question import Question
from orchestrator.domain.change import Change, Effect, PolicyVerdict, Verdict
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode, RunStatus, StepState
from orchestrator.playbook.plan import ForEach, FormField, Plan

__all__ = [
    "PolicyVerdict",
    "Verdict",
]  # beside all that is defined here: the policy's words cross too

TASK_QUEUE = "tocsin"


class Workflow(StrEnum):
    """Workflow types."""

    RUN = "RunPlaybook"
    BATCH = "RunBatch"
    HOLD = "HoldContainment"
    ROLL_BACK = "RollBack"


class Activity(StrEnum):
    """Activity types."""

    READ = "read"
    PLAN = "plan"
    APPLY = "apply"
    VERIFY = "verify"
    UNDO = "undo"
    HOLD = "hold"
    ASK = "ask"
    READ_ANSWER = "read_answer"
    CLOSE_APPROVAL = "close_approval"
    RECORD = "record"
    BEGIN = "begin"
    END = "end"
    TO_UNDO = "to_undo"
    DUE = "due"
    CHECK = "check"
    EVENTS = "events"


class ErrorType(StrEnum):
    """The `type` of an ApplicationError that an activity raises."""

    UNAVAILABLE = "Unavailable"
    REJECTED = "Rejected"
    UNKNOWN = "Unknown"
    HALTED = "Halted"


class RunContext(Frozen):
    """Which run this is about."""

    run_id: str
    attempt: int
    playbook: str
    version: int
    plan_digest: str
    mode: Mode
    source: str | None
    severity: int
    started_by: str
    incident_id: str | None = None


class StepRef(Frozen):
    """Which step of which run. `seq` orders the steps of a run by when they began."""

    run: RunContext
    path: str
    seq: int


class RunInput(Frozen):
    """What a run is started with; never changes afterwards."""

    run: RunContext
    plan: Plan
    alert: dict[str, Any] | None
    inputs: dict[str, Any]
    started_at: AwareDatetime
    carried: dict[str, Any] = {}  # results of steps that an earlier attempt finished, by path
    next_seq: int = 1


class BatchInput(Frozen):
    """A slice of a `for_each`, run as a child so that no history grows without bound."""

    run: RunInput
    step: ForEach
    first: int
    items: list[Any]
    names: dict[str, Any]
    steps: dict[str, Any]
    prefix: str
    question: Question | None  # of the group's approval around, with what people said
    approved: dict[str, str] = {}  # digest of an agreed change -> its approval
    declined: tuple[str, ...] = ()
    next_seq: int


class BatchReply(Frozen):
    """What became of each item, and where the numbering of steps goes on."""

    items: list[dict[str, Any]]
    next_seq: int


class RollBackInput(Frozen):
    """Steps to take back, in this order, in a history of their own."""

    run_id: str
    paths: tuple[str, ...]
    reason: str
    actor: str


class ActionCall(Frozen):
    """One action with its evaluated input."""

    ref: StepRef
    connection: str
    capability: str
    action: str
    effect: Effect
    input: dict[str, Any]


class ReadReply(Frozen):
    """What a read answered."""

    output: dict[str, Any]


class PlanRequest(Frozen):
    """Plan a change. `lease`: register this run's lease on the containment before looking."""

    call: ActionCall
    lease: bool = False
    hold_seconds: int | None = None


class PlanReply(Frozen):
    """The exact change, and what the policy says of it now."""

    change: Change
    verdict: PolicyVerdict


class ApplyRequest(Frozen):
    """Carry out exactly this change. `approval_id`: who agreed, where someone had to."""

    call: ActionCall
    change: Change
    approval_id: str | None = None


class ApplyReply(Frozen):
    """What became of it. A lost reply is the error `Unknown`: look before anything else."""

    outcome: Literal["applied", "refused", "needs_approval"]
    verdict: PolicyVerdict
    output: dict[str, Any] = {}
    detail: str = ""


class VerifyRequest(Frozen):
    """Read the device back."""

    call: ActionCall
    change: Change
    output: dict[str, Any]


class VerifyReply(Frozen):
    """Whether the change is in force. `released`: it is not, because a person released it meanwhile."""

    verified: bool
    detail: str = ""
    released: bool = False


class HoldRequest(Frozen):
    """Have the containment watched, and start the clock of the lease that this step registered. `seconds`: None for no end."""

    ref: StepRef
    containment_key: str
    seconds: int | None


class UndoRequest(Frozen):
    """End a lease, and lift the containment if that was the last one."""

    run_id: str
    path: str
    reason: str
    actor: str


class UndoReply(Frozen):
    """What the undo came to. `kept`: another lease still holds it."""

    outcome: Literal["undone", "kept", "not_ours", "stuck"]
    detail: str = ""


class Undoable(Frozen):
    """One effect of a run that can be taken back."""

    path: str
    seq: int


class AskRequest(Frozen):
    """Put a question to people: about `changes`, or for a `form` to be filled."""

    ref: StepRef
    kind: Literal["change", "form"]
    question: str
    changes: tuple[Change, ...] = ()
    form: dict[str, FormField] | None = None
    by: str | None = None
    quorum: int = 1
    within: int
    reasons: tuple[str, ...] = ()
    escalated: bool = False
    level: int = 0
    replaces: str | None = None  # an approval that does not hold any more


class AskReply(Frozen):
    """Where the answer will come from."""

    approval_id: str
    digest: str
    expires_at: AwareDatetime


class Decision(Frozen):
    """What people answered, as the store has it. The update that brings it to the workflow only says where to look."""

    approval_id: str
    state: Literal["approved", "declined", "expired"]
    approved_changes: tuple[str, ...] = ()  # digests
    form: dict[str, Any] | None = None
    by: tuple[str, ...] = ()
    comment: str = ""


class AnswerReply(Frozen):
    """What the store has of a question. None: nobody has decided it, whatever the workflow was told."""

    decision: Decision | None = None


class BeginReply(Frozen):
    """The run may begin; with a `question`, only once people agree that it does."""

    question: Question | None = None


class StepRecord(Frozen):
    """A step's state, as it is shown and audited."""

    ref: StepRef
    kind: str
    state: StepState
    connection: str | None = None
    action: str | None = None
    inputs: dict[str, Any] | None = None
    result: Any = None
    error: str | None = None
    asked: dict[str, Any] | None = None  # in a dry run, whom it would ask


class RunEnd(Frozen):
    """How a run ended."""

    run: RunContext
    status: RunStatus
    error: str | None = None


class RunResult(Frozen):
    """What the workflow returns."""

    status: RunStatus
    error: str | None = None
    steps: int = 0


class HoldInput(Frozen):
    """The containment that this workflow watches. `checked_at`: when it last had the device looked at, whatever came of it."""

    containment_key: str
    checked_at: AwareDatetime | None = None


class EventsRequest(Frozen):
    """The alerts that joined the run's incident after the alert (or event) `after` was received."""

    run: RunContext
    since: AwareDatetime


class EventsReply(Frozen):
    """Alert views, oldest first."""

    alerts: tuple[dict[str, Any], ...]


class DueReply(Frozen):
    """What is to be done about a containment now. `check`: read the device; `wake_at`: when to look again; None: never."""

    ended: tuple[UndoRequest, ...] = ()
    check: bool = False
    wake_at: datetime | None = None
    live: int = 0
