"""How does a debug session look from outside? Where it stands, what it has seen, what it has applied; secrets masked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from orchestrator.authoring.debug.port import Noted
from orchestrator.contracts.messages import PlanReply
from orchestrator.domain.masking import masked
from orchestrator.domain.model import Frozen
from orchestrator.playbook.schema.fields import Written

Standing = Literal["working", "paused", "applying", "over"]


class Planned(Frozen):
    """What a change's step would change at this moment, and what the policy says of it."""

    target: str
    summary: str
    changed: bool
    planned_change: dict[str, Any]
    verdict: str
    reasons: tuple[str, ...]


class At(Frozen):
    """The step before which the session stands. `asked`: the question that people would be asked; `problem`: why it cannot be told."""

    path: str
    kind: str
    uses: str | None = None
    effect: str | None = None
    inputs: dict[str, Any] | None = None
    planned: Planned | None = None
    asked: str | None = None
    problem: str | None = None


class Applied(Frozen):
    """A step that was carried out for real, in a run of its own. `kept`: it stays until its lease ends."""

    path: str
    target: str
    run_id: str
    status: str
    can_be_undone: bool
    kept: bool = False
    taken_back: bool = False


class DebugState(Frozen):
    """A session. `said`: what the last command has to say; `result`, `error`: how the playbook ended, once it is over."""

    id: str
    playbook: str
    version: int
    standing: Standing
    at: At | None
    steps: tuple[Noted, ...]
    breakpoints: tuple[str, ...]
    applied: tuple[Applied, ...]
    said: str | None = None
    result: str | None = None
    error: str | None = None


class Command(Written):
    """One command. `path` goes with break and clear, `result` with override, `target` with apply, `expression` with show."""

    command: Literal[
        "next", "continue", "break", "clear", "skip", "override", "apply", "keep", "show"
    ]
    path: Annotated[
        str | None,
        Field(min_length=1, max_length=500, description="A step's path, such as contain/block."),
    ] = None
    result: Annotated[Any, Field(description="What the step comes to, instead of being done.")] = (
        None
    )
    target: Annotated[
        str | None,
        Field(
            max_length=4096,
            description="The target of the change, typed out, so that nothing is done in error.",
        ),
    ] = None
    expression: Annotated[
        str | None,
        Field(
            min_length=1, max_length=4000, description="As in a playbook, or the path of a step."
        ),
    ] = None

    @model_validator(mode="after")
    def _whole(self) -> Command:
        needed = {"break": "path", "clear": "path", "apply": "target", "show": "expression"}.get(
            self.command
        )
        if needed and getattr(self, needed) is None:
            message = f"`{self.command}` needs `{needed}`"
            raise ValueError(message)
        return self


def planned_of(reply: PlanReply) -> Planned:
    """What a plan comes to, as it is shown."""
    change, verdict = reply.change, reply.verdict
    return Planned(
        target=change.target.value,
        summary=change.summary,
        changed=change.changed,
        planned_change=masked(change.planned_change),
        verdict=verdict.outcome.value,
        reasons=tuple(verdict.reasons),
    )
