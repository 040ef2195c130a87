"""Messages of debug sessions: what a session starts with, its commands, its state, its steps."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from orchestrator.contracts.approval import Question
from orchestrator.contracts.change import StepCall
from orchestrator.contracts.requests import RequestError
from orchestrator.contracts.run import RunInput
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import RunStatus, StepState
from orchestrator.playbook.plan import Plan, Use
from orchestrator.playbook.schema.fields import AuthoredModel

IDLE = timedelta(minutes=15)
"""After so long without a command, a session ends and undoes what it applied."""
ANSWER_WITHIN = timedelta(seconds=20)
"""How long a command waits for the next stop before it answers with the phase `working`."""


class DebugPhase(StrEnum):
    """What a session does."""

    WORKING = "working"  # on the way to the next stop
    PAUSED = "paused"  # before a step
    APPLYING = "applying"  # a step is being applied
    OVER = "over"


class DebugInput(Frozen):
    """What a session starts with."""

    run: RunInput
    alert_id: str | None
    """Null when the alert was not received by Tocsin; then no step can be applied."""
    breakpoints: tuple[str, ...] = ()
    idle: timedelta = Field(default_factory=lambda: IDLE)
    answer_within: timedelta = Field(default_factory=lambda: ANSWER_WITHIN)


class PlanPreview(Frozen):
    """What a step would change now, and the policy's verdict."""

    target: str
    summary: str
    changed: bool
    planned_change: dict[str, Any]
    verdict: str
    reasons: tuple[str, ...]


class CurrentStep(Frozen):
    """The step before which a session is paused."""

    path: str
    kind: str
    uses: str | None = None
    effect: str | None = None
    inputs: dict[str, Any] | None = None
    planned: PlanPreview | None = None
    asked: str | None = None
    """The question that people would be asked."""
    problem: str | None = None
    """Why the inputs or the planned change are unknown."""


class DebugStep(Frozen):
    """A step that the session passed, with secrets masked."""

    path: str
    kind: str
    state: StepState
    result: Any = None
    error: str | None = None


class AppliedStep(Frozen):
    """A step that was applied, in a run of its own."""

    path: str
    target: str
    run_id: str
    status: str
    can_be_undone: bool
    kept: bool = False
    """Whether it stays until its lease ends."""
    undone: bool = False


class DebugState(Frozen):
    """A debug session."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "dbg_019a8c7d21f04b6c1e2f3a4b5c6d",
                "playbook": "c2-beacon-containment",
                "version": 3,
                "phase": "paused",
                "at": {
                    "path": "contain/block",
                    "kind": "use",
                    "uses": "firewall.block_address",
                    "effect": "contain",
                    "inputs": {"address": "198.51.100.7"},
                    "planned": {
                        "target": "198.51.100.7",
                        "summary": "Block 198.51.100.7",
                        "changed": True,
                        "planned_change": {},
                        "verdict": "allow",
                        "reasons": [],
                    },
                    "asked": None,
                    "problem": None,
                },
                "steps": [
                    {
                        "path": "look/endpoint",
                        "kind": "use",
                        "state": "done",
                        "result": {"name": "ws-042"},
                        "error": None,
                    }
                ],
                "breakpoints": ["contain/block"],
                "applied": [],
                "message": None,
                "result": None,
                "error": None,
            }
        }
    )

    id: str
    playbook: str
    version: int
    phase: DebugPhase
    at: CurrentStep | None
    steps: tuple[DebugStep, ...]
    breakpoints: tuple[str, ...]
    applied: tuple[AppliedStep, ...]
    message: str | None = None
    """The answer to the last command."""
    result: str | None = None
    """How the playbook ended, once the session is over."""
    error: str | None = None


class DebugCommand(AuthoredModel):
    """One command; `break`, `clear`, `apply` and `show` need one more field."""

    model_config = ConfigDict(json_schema_extra={"example": {"command": "next"}})

    command: Literal[
        "next", "continue", "break", "clear", "skip", "override", "apply", "keep", "show"
    ]
    path: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=500,
            description="For break and clear: the path of a step, such as contain/block.",
        ),
    ] = None
    result: Annotated[
        Any, Field(description="For override: the result of the step, which is not run.")
    ] = None
    target: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="For apply: the target of the change, typed out to prevent mistakes.",
        ),
    ] = None
    expression: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=4000,
            description="For show: an expression as in a playbook, or the path of a step.",
        ),
    ] = None

    @model_validator(mode="after")
    def _is_complete(self) -> DebugCommand:
        needed = {"break": "path", "clear": "path", "apply": "target", "show": "expression"}.get(
            self.command
        )
        if needed and getattr(self, needed) is None:
            message = f"`{self.command}` needs `{needed}`"
            raise ValueError(message)
        return self


class DebugReply(Frozen):
    """The state after a command, or why the command was refused."""

    state: DebugState | None = None
    error: RequestError | None = None


class ApplyStepRequest(Frozen):
    """Apply one step of a draft, in a run of its own with this id."""

    run_id: str
    draft: Plan
    step: Use
    call: StepCall
    question: Question | None
    looked_up: tuple[tuple[Use, dict[str, Any]], ...] = ()
    """Look-ups of targets that the session made before, with their inputs."""
    alert_id: str | None
    session_id: str
    actor: str


class AwaitStepRequest(Frozen):
    """Wait for the end of a step's run."""

    run_id: str
    step_id: str


class StepRunEnd(Frozen):
    """How the run of a step ended."""

    status: RunStatus
    error: str | None
    result: Any = None
    """Of the step, as later steps see it, with secrets masked."""


class UndoStepRequest(Frozen):
    """End the run of a step, and release all that it holds."""

    run_id: str
    actor: str


class DebugEnd(Frozen):
    """The end of a session, for the audit trail."""

    run: RunInput
    result: str
    applied: tuple[AppliedStep, ...]
