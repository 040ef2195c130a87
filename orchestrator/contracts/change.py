"""Messages about one change: read, plan, apply, verify and undo."""

from __future__ import annotations

from typing import Any, Literal

from orchestrator.contracts.run import StepRecord, StepRef
from orchestrator.domain.change import Change, Effect, PolicyVerdict
from orchestrator.domain.containment import LeaseEndReason
from orchestrator.domain.model import Frozen
from orchestrator.playbook.plan import Retry


class StepCall(Frozen):
    """An action with its evaluated input, on behalf of a step."""

    ref: StepRef
    connection: str
    capability: str
    action: str
    effect: Effect
    input: dict[str, Any]
    retry: Retry = Retry()
    earlier_tries: int = 0
    """Tries of this call by activities before this one."""
    begun: tuple[StepRecord, ...] = ()
    """Steps that began and are recorded with this one, such as the blocks around it."""


class ReadReply(Frozen):
    """The output of a read."""

    output: dict[str, Any]


class PlanRequest(Frozen):
    """Plan a change."""

    call: StepCall
    lease: bool = False  # register the step's lease before the device is read
    hold_seconds: int | None = None
    approved: tuple[str, ...] | None = None
    """Digests that people approved; None: the playbook asks no one, but the policy may."""


class PlanReply(Frozen):
    """The exact change, and the verdict of the policy in force."""

    change: Change
    verdict: PolicyVerdict
    busy: str | None = None
    """Why the target cannot be held just now: it is being lifted. Plan again in a while."""


class ApplyRequest(Frozen):
    """Apply exactly this change."""

    call: StepCall
    change: Change
    approval_id: str | None = None


class ApplyReply(Frozen):
    """The outcome of an apply. A lost reply is the error `Unknown` instead."""

    # busy: another run is applying the same. outdated: others hold what the plan did not name.
    outcome: Literal["applied", "refused", "needs_approval", "busy", "outdated"]
    verdict: PolicyVerdict
    output: dict[str, Any] = {}
    detail: str = ""


class VerifyRequest(Frozen):
    """Read the device back."""

    call: StepCall
    change: Change
    output: dict[str, Any]


class VerifyReply(Frozen):
    """Whether the device shows the change."""

    verified: bool
    detail: str = ""
    released: bool = False  # not shown because a person released it in the meantime


class UndoRequest(Frozen):
    """End a step's lease, and undo its change if that was the last lease."""

    run_id: str
    path: str
    cause: LeaseEndReason
    reason: str  # for people: audit trail, notes on the device
    actor: str


class UndoReply(Frozen):
    """The outcome of an undo."""

    # kept: another lease holds the containment. not_ours: the target was in this state before us.
    outcome: Literal["undone", "kept", "not_ours", "stuck"]
    detail: str = ""


class UndoableStep(Frozen):
    """A step of a run that can be undone."""

    path: str
    seq: int


class RollBackInput(Frozen):
    """Steps to undo, in this order, in a history of their own."""

    run_id: str
    paths: tuple[str, ...]
    cause: LeaseEndReason
    reason: str
    actor: str
