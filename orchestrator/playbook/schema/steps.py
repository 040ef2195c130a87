"""The schema of steps: what an author may write as one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.playbook.schema.fields import (
    ActionName,
    AuthoredModel,
    Condition,
    Duration,
    DurationOrTemplate,
    Identifier,
    PinnedPlaybook,
)
from orchestrator.playbook.schema.questions import ApproveSpec, AskSpec

KINDS = ("use", "parallel", "for_each", "choose", "repeat", "wait", "ask", "call")
MAX_ITEMS = 10_000  # of a list in an expression


class RetrySpec(AuthoredModel):
    """The retries of an action that fails temporarily."""

    attempts: Annotated[int, Field(ge=1, le=100, description="The number of attempts in all.")] = 5
    wait: Annotated[
        Duration,
        Field(description="The pause before the second attempt; doubles with each further one."),
    ] = 1


class StepSpec(AuthoredModel):
    """The keys of every kind of step."""

    id: Annotated[
        Identifier,
        Field(description="Unique in the playbook; later steps see the result as `steps.ID`."),
    ]
    when: Annotated[
        Condition | None,
        Field(description="A bare expression; the step is skipped unless it is true."),
    ] = None
    retry: Annotated[
        RetrySpec | None,
        Field(description="The retries of an action that fails temporarily."),
    ] = None
    timeout: Annotated[
        Duration | None, Field(description="The step fails when it takes longer.")
    ] = None
    on_error: Annotated[
        OnError,
        Field(
            description="After a failure: fail the run, continue, or run these steps and continue."
        ),
    ] = "fail"
    approve: Annotated[
        ApproveSpec | None,
        Field(description="Ask people before anything in this step is changed."),
    ] = None


class UseStep(StepSpec):
    """A call of an action of a connection."""

    use: Annotated[ActionName, Field(description="The action: connection.action.")]
    inputs: Annotated[
        dict[str, Any],
        Field(alias="with", description="The inputs of the action; texts may hold ${{ }}."),
    ] = {}
    hold: Annotated[
        DurationOrTemplate | None,
        Field(
            alias="for",
            description="How long the containment lasts; without it, until it is lifted by hand.",
        ),
    ] = None


class ParallelStep(StepSpec):
    """Steps that run at the same time."""

    parallel: Annotated[
        list[AnyStepSpec],
        Field(min_length=1, max_length=50, description="The branches, one step each."),
    ]


class ForEachStep(StepSpec):
    """Steps that run once for each item of a list."""

    for_each: Annotated[
        str | list[Any], Field(description="The list: a whole-value ${{ }}, or a YAML list.")
    ]
    name: Annotated[
        Identifier, Field(alias="as", description="The name under which the steps see the item.")
    ]
    at_most: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_ITEMS,
            description="With more items the step fails before anything is done.",
        ),
    ]
    at_once: Annotated[
        int, Field(ge=1, le=100, description="How many items run at the same time.")
    ] = 10
    steps: Annotated[list[AnyStepSpec], Field(min_length=1, description="The steps for one item.")]


class BranchSpec(AuthoredModel):
    """A branch of `choose`: taken if it is the first whose condition is true."""

    when: Annotated[Condition, Field(description="A bare expression.")]
    steps: Annotated[
        list[AnyStepSpec], Field(min_length=1, description="The steps of this branch.")
    ]


class OtherwiseSpec(AuthoredModel):
    """The last branch of `choose`: taken if no other is."""

    otherwise: Annotated[
        list[AnyStepSpec], Field(min_length=1, description="The steps of this branch.")
    ]


def _branch(raw: Any) -> str:
    return "~otherwise" if isinstance(raw, dict) and "otherwise" in raw else "~branch"


AnyBranch = Annotated[
    Annotated[BranchSpec, Tag("~branch")] | Annotated[OtherwiseSpec, Tag("~otherwise")],
    Discriminator(_branch),
]


class ChooseStep(StepSpec):
    """Branches of which the first whose condition is true runs."""

    choose: Annotated[
        list[AnyBranch],
        Field(min_length=1, max_length=50, description="The branches, in order; `otherwise` last."),
    ]


class RepeatSpec(AuthoredModel):
    """The rounds of a `repeat`."""

    steps: Annotated[list[AnyStepSpec], Field(min_length=1, description="The steps of one round.")]
    until: Annotated[
        Condition,
        Field(description="A bare expression, evaluated after each round; sees its steps."),
    ]
    at_most: Annotated[int, Field(ge=1, le=1000, description="The maximum number of rounds.")]
    every: Annotated[Duration | None, Field(description="The pause between two rounds.")] = None


class RepeatStep(StepSpec):
    """Steps that run in rounds until a condition is true."""

    repeat: Annotated[RepeatSpec, Field(description="The steps and when to stop.")]


class EventSpec(AuthoredModel):
    """A further alert to wait for."""

    event: Annotated[
        Condition, Field(description="A bare expression over `event`, the further alert.")
    ]
    within: Annotated[Duration, Field(description="How long to wait for it.")]
    otherwise: Annotated[
        Literal["fail", "continue"], Field(description="What to do without an event in time.")
    ] = "fail"


def _word_or_object(raw: Any) -> str:
    return "~object" if isinstance(raw, dict) else "~word"


class WaitStep(StepSpec):
    """A pause, or a wait for a further alert."""

    wait: Annotated[
        Annotated[DurationOrTemplate, Tag("~word")] | Annotated[EventSpec, Tag("~object")],
        Discriminator(_word_or_object),
        Field(description="How long, or for which event."),
    ]


class AskStep(StepSpec):
    """A form that a person fills in."""

    ask: Annotated[AskSpec, Field(description="The question and its form.")]


class CallStep(StepSpec):
    """A call of another playbook, pinned to a version."""

    call: Annotated[PinnedPlaybook, Field(description="name@version.")]
    inputs: Annotated[
        dict[str, Any], Field(alias="with", description="Its inputs; texts may hold ${{ }}.")
    ] = {}


def kind_of_step(raw: Any) -> str | None:
    """Return the tag of a raw step; None when it is of no kind, or of several."""
    found = [kind for kind in KINDS if isinstance(raw, dict) and kind in raw]
    return f"~{found[0]}" if len(found) == 1 else None


AnyStepSpec = Annotated[
    Annotated[UseStep, Tag("~use")]
    | Annotated[ParallelStep, Tag("~parallel")]
    | Annotated[ForEachStep, Tag("~for_each")]
    | Annotated[ChooseStep, Tag("~choose")]
    | Annotated[RepeatStep, Tag("~repeat")]
    | Annotated[WaitStep, Tag("~wait")]
    | Annotated[AskStep, Tag("~ask")]
    | Annotated[CallStep, Tag("~call")],
    Discriminator(
        kind_of_step,
        custom_error_type="step_kind",
        custom_error_message=f"a step must have exactly one of the keys {', '.join(KINDS)}",
    ),
]


def _word_or_steps(raw: Any) -> str:
    return "~steps" if isinstance(raw, list) else "~word"


OnError = Annotated[
    Annotated[Literal["fail", "continue"], Tag("~word")]
    | Annotated[list[AnyStepSpec], Field(min_length=1), Tag("~steps")],
    Discriminator(_word_or_steps),
]

TAGGED: dict[str, type[AuthoredModel]] = {
    "~use": UseStep,
    "~parallel": ParallelStep,
    "~for_each": ForEachStep,
    "~choose": ChooseStep,
    "~repeat": RepeatStep,
    "~wait": WaitStep,
    "~ask": AskStep,
    "~call": CallStep,
    "~branch": BranchSpec,
    "~otherwise": OtherwiseSpec,
    "~object": EventSpec,
}

_MODELS: tuple[type[AuthoredModel], ...] = (StepSpec, *TAGGED.values(), RepeatSpec)
for _model in _MODELS:
    _model.model_rebuild()
