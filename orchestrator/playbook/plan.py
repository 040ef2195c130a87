"""The compiled, frozen form of a playbook: what a run carries and what its digest covers.

Strings may hold `${{ }}` expressions, checked at compile time and evaluated by `playbook.language`.
A condition is a bare expression. Durations are whole seconds.

Code that visits steps uses `Step.blocks()`, `Step.children()` or `walk()`, and never the fields
that hold them. A kind of step that holds other steps lists them in `_inner_blocks()`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.domain.change import Effect
from orchestrator.domain.digest import digest
from orchestrator.domain.model import Frozen
from orchestrator.playbook.questions import (
    Approve,
    Condition,
    EvidenceItem,
    FormField,
    Seconds,
    Value,
)

__all__ = [
    "AnyStep", "Approve", "Ask", "BlockKind", "Branch", "CallPlaybook", "Choose", "Condition",
    "EvidenceItem", "ForEach", "FormField", "InputField", "InputType", "Limits", "Parallel",
    "Plan", "Repeat", "Retry", "Seconds", "Step", "StepBlock", "Trigger", "Use", "Value", "Wait",
    "walk", "walk_steps", "without_rounds",
]  # fmt: skip

InputType = Literal[
    "text", "boolean", "integer", "number", "list", "object",
    "address", "network", "domain", "host", "user", "url", "hash", "email", "file", "process",
]  # fmt: skip


class Retry(Frozen):
    """The retries of an action that fails with `Unavailable`."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 5
    wait: Seconds = 1  # before the second attempt; doubles with each further one


class BlockKind(Enum):
    """The role of a sequence of steps in the step that holds it."""

    BODY = auto()  # the steps of one round or item
    PARALLEL = auto()  # each step runs next to the others
    BRANCH = auto()  # of `choose`
    OTHERWISE = auto()  # of `choose`; may hold no steps
    CALLED = auto()  # the steps of the called playbook
    CALLED_ON_FAILURE = auto()  # the steps that it runs after a failure
    ON_ERROR = auto()  # run after the step failed


_PREFIXES = {BlockKind.ON_ERROR: ":on_error/", BlockKind.CALLED_ON_FAILURE: "/on_failure/"}


@dataclass(frozen=True, slots=True)
class StepBlock:
    """A sequence of steps inside another step."""

    kind: BlockKind
    steps: tuple[AnyStep, ...]
    index: int = 0  # of a branch, from 0; that of `otherwise` follows the last branch
    is_flat: bool = True  # whether steps outside the block see its results as `steps.ID`

    def prefix(self, path: str) -> str:
        """Return what the paths of the block's steps begin with, in a step with this path."""
        return path + _PREFIXES.get(self.kind, "/")


class Step(Frozen):
    """The fields that every kind of step has."""

    id: str
    when: Condition | None = None
    retry: Retry | None = None
    timeout: Seconds | None = None
    on_error: Literal["fail", "continue"] | tuple[AnyStep, ...] = "fail"
    approve: Approve | None = None

    def blocks(self) -> tuple[StepBlock, ...]:
        """Return the sequences of steps directly inside this one, error handlers last."""
        handlers = () if isinstance(self.on_error, str) else self.on_error
        on_error = [StepBlock(BlockKind.ON_ERROR, handlers)] if handlers else []
        return (*self._inner_blocks(), *on_error)

    def children(self) -> tuple[AnyStep, ...]:
        """Return the steps directly inside this one, in the order of `blocks()`."""
        return tuple(step for block in self.blocks() for step in block.steps)

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        """Return the blocks that only this kind of step has."""
        return ()


class Use(Step):
    """A call of an action of a connection."""

    kind: Literal["use"] = "use"
    connection: str
    capability: str
    action: str
    effect: Effect
    inputs: dict[str, Value] = {}
    hold: Value = None  # seconds, or an expression that yields a duration; None: no end


class Parallel(Step):
    """Steps that run at the same time."""

    kind: Literal["parallel"] = "parallel"
    steps: tuple[AnyStep, ...]

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        return (StepBlock(BlockKind.PARALLEL, self.steps),)


class ForEach(Step):
    """Steps that run once per item of a list."""

    kind: Literal["for_each"] = "for_each"
    items: Value
    name: str  # under which the steps see their item
    at_most: Annotated[int, Field(ge=1, le=100_000)]  # with more items the step fails at its start
    at_once: Annotated[int, Field(ge=1, le=100)] = 10
    steps: tuple[AnyStep, ...]

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        return (StepBlock(BlockKind.BODY, self.steps, is_flat=False),)


class Branch(Frozen):
    """One branch of `choose`."""

    when: Condition
    steps: tuple[AnyStep, ...]


class Choose(Step):
    """The first branch whose condition holds, or else `otherwise`."""

    kind: Literal["choose"] = "choose"
    branches: tuple[Branch, ...]
    otherwise: tuple[AnyStep, ...] = ()

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        steps = [branch.steps for branch in self.branches]
        branches = (StepBlock(BlockKind.BRANCH, inner, index) for index, inner in enumerate(steps))
        return (*branches, StepBlock(BlockKind.OTHERWISE, self.otherwise, len(steps)))


class Repeat(Step):
    """Steps that run in rounds until a condition holds."""

    kind: Literal["repeat"] = "repeat"
    steps: tuple[AnyStep, ...]
    until: Condition  # evaluated after each round
    at_most: Annotated[int, Field(ge=1, le=1000)]  # rounds
    every: Seconds = 0  # between two rounds

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        return (StepBlock(BlockKind.BODY, self.steps),)


class Wait(Step):
    """A pause of `seconds`, or a wait for a further alert that fits `event`."""

    kind: Literal["wait"] = "wait"
    seconds: Value = None  # an int, or an expression that yields a duration
    event: Condition | None = None  # sees the further alert as `event`
    within: Seconds | None = None  # how long the event is waited for
    otherwise: Literal["fail", "continue"] = "fail"  # when no event arrives in time


class Ask(Step):
    """A form that a person fills in."""

    kind: Literal["ask"] = "ask"
    question: str
    form: dict[str, FormField]
    evidence: tuple[EvidenceItem, ...] = ()
    by: str | None = None
    within: Seconds = 3600
    otherwise: Literal["stop", "continue"] = "stop"


class CallPlaybook(Step):
    """A call of another playbook, pinned to a version and carried whole."""

    kind: Literal["call"] = "call"
    inputs: dict[str, Value] = {}  # all that the called playbook sees
    plan: Plan

    def _inner_blocks(self) -> tuple[StepBlock, ...]:
        return (
            StepBlock(BlockKind.CALLED, self.plan.steps, is_flat=False),
            StepBlock(BlockKind.CALLED_ON_FAILURE, self.plan.failure_steps, is_flat=False),
        )


_Kinds = Use | Parallel | ForEach | Choose | Repeat | Wait | Ask | CallPlaybook
AnyStep = Annotated[_Kinds, Field(discriminator="kind")]


class Trigger(Frozen):
    """The alerts that start a run."""

    when: Condition
    once_per: Value = "${{ alert.id }}"  # alerts for which this is the same text share a run,
    within: Seconds = 86_400  # provided that they arrive within this time


class Limits(Frozen):
    """A playbook's own limits on its changes, on top of those of the policy; None: no own limit."""

    runs_per_hour: int | None = None
    hosts_per_run: int | None = None
    users_per_run: int | None = None
    addresses_per_run: int | None = None


class InputField(Frozen):
    """A declared input of a playbook that is started by hand or by `call`."""

    type: InputType
    description: str = ""
    required: bool = True
    default: Any = None


class Plan(Frozen):
    """A compiled playbook."""

    playbook: str
    version: Annotated[int, Field(ge=1)]
    title: str
    owner: str
    attack: tuple[str, ...] = ()
    trigger: Trigger | None = None
    inputs: dict[str, InputField] = {}
    limits: Limits = Limits()
    steps: tuple[AnyStep, ...]
    on_failure: Literal["roll_back", "stop"] | tuple[AnyStep, ...] = "stop"

    @property
    def digest(self) -> str:
        """The hex SHA-256 over RFC 8785 JSON of the plan."""
        return digest(self.model_dump(mode="json"))

    @property
    def failure_steps(self) -> tuple[AnyStep, ...]:
        """The steps that run after a failure; none when `on_failure` is a word."""
        return () if isinstance(self.on_failure, str) else self.on_failure


def walk(plan: Plan) -> Iterator[tuple[str, AnyStep]]:
    """Yield every step with its path, a step before its children, called playbooks included.

    A path is that of the run without rounds: `contain/block`, `block:on_error/x`, `on_failure/x`.
    """
    yield from walk_steps(plan.steps)
    yield from walk_steps(plan.failure_steps, "on_failure/")


def without_rounds(path: str) -> str:
    """Return a step's path in a run as `walk` writes it: `each[3]/block` as `each/block`."""
    return re.sub(r"\[\d+\+?\]", "", path)


def walk_steps(steps: Iterable[AnyStep], prefix: str = "") -> Iterator[tuple[str, AnyStep]]:
    """Yield these steps and all inside them, as `walk` does; their paths begin with `prefix`."""
    for step in steps:
        path = f"{prefix}{step.id}"
        yield path, step
        for block in step.blocks():
            yield from walk_steps(block.steps, block.prefix(path))


_MODELS: tuple[type[Frozen], ...] = (Branch, *Step.__subclasses__(), Plan)
for _model in _MODELS:
    _model.model_rebuild()
