"""What an author may write as a step."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from orchestrator.playbook.schema.fields import (
    ActionName,
    Condition,
    Duration,
    DurationOrTemplate,
    Identifier,
    Line,
    PinnedPlaybook,
    Written,
)

KINDS = ("use", "parallel", "for_each", "choose", "repeat", "wait", "ask", "call")
MAX_ITEMS = 10_000  # what an expression can hold


class Retry(Written):
    """How often an action that fails for the moment is tried."""

    attempts: Annotated[int, Field(ge=1, le=100, description="How often it is tried in all.")] = 5
    wait: Annotated[
        Duration,
        Field(description="The pause before the second try; doubled before each further one."),
    ] = 1


def _one_or_more(written: Any) -> Any:
    return [] if written is None else [written] if isinstance(written, str) else written


_LINE = {"type": "string", "minLength": 1, "maxLength": 250}
_GROUPS = {"type": "array", "minItems": 1, "maxItems": 5, "items": _LINE}
Groups = Annotated[
    list[Line],
    Field(max_length=5),
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [_LINE, _GROUPS, {"type": "null"}]}),
]
"""One group, or several that are asked in turn."""


class Approve(Written):
    """A person has to agree with the exact change before it is made."""

    when: Annotated[
        Condition | None, Field(description="Ask only if this holds; left out, ask always.")
    ] = None
    question: Annotated[
        str,
        Field(
            min_length=1, max_length=2_000, description="What the person is asked; may hold ${{ }}."
        ),
    ]
    by: Annotated[
        Line | None,
        Field(
            description="The group whose members may answer; left out, anyone with the permission."
        ),
    ] = None
    quorum: Annotated[int, Field(ge=1, le=10, description="How many people have to agree.")] = 1
    within: Annotated[Duration, Field(description="How long the answer is waited for.")] = 900
    otherwise: Annotated[
        Literal["stop", "escalate"], Field(description="What happens when nobody answered in time.")
    ] = "stop"
    escalate_to: Annotated[
        Groups,
        Field(
            description="With `otherwise: escalate`: the group that is asked next, or several in turn, each with `within` of its own."
        ),
    ] = []


class Step(Written):
    """What every step takes."""

    id: Annotated[
        Identifier, Field(description="Names the step: unique in the playbook, seen as `steps.ID`.")
    ]
    when: Annotated[
        Condition | None,
        Field(description="A bare expression; the step is skipped unless it holds."),
    ] = None
    retry: Annotated[
        Retry | None, Field(description="How often an action that fails for the moment is tried.")
    ] = None
    timeout: Annotated[
        Duration | None, Field(description="The step fails when it takes longer.")
    ] = None
    on_error: Annotated[
        OnError,
        Field(
            description="When the step fails: fail the run, go on, or run these steps and go on."
        ),
    ] = "fail"
    approve: Annotated[
        Approve | None, Field(description="Ask a person before anything in this step is changed.")
    ] = None


class UseStep(Step):
    """Call an action of a connection."""

    use: Annotated[ActionName, Field(description="The action: connection.action.")]
    inputs: Annotated[
        dict[str, Any],
        Field(alias="with", description="What the action is given; texts may hold ${{ }}."),
    ] = {}
    hold: Annotated[
        DurationOrTemplate | None,
        Field(
            alias="for",
            description="How long the containment stays; it is then lifted by itself. Left out: until lifted by hand.",
        ),
    ] = None


class ParallelStep(Step):
    """Several steps at once."""

    parallel: Annotated[
        list[AnyStep],
        Field(min_length=1, max_length=50, description="The branches, one step each."),
    ]


class ForEachStep(Step):
    """The same steps for each item of a list."""

    for_each: Annotated[
        str | list[Any], Field(description="The list: a whole-value ${{ }}, or written out.")
    ]
    name: Annotated[
        Identifier, Field(alias="as", description="The name under which the steps see the item.")
    ]
    at_most: Annotated[
        int,
        Field(
            ge=1,
            le=MAX_ITEMS,
            description="More items than this is an error, before anything is done.",
        ),
    ]
    at_once: Annotated[
        int, Field(ge=1, le=100, description="How many items are worked on at the same time.")
    ] = 10
    steps: Annotated[list[AnyStep], Field(min_length=1, description="The steps for one item.")]


class Branch(Written):
    """A branch of `choose`: taken if it is the first whose condition holds."""

    when: Annotated[Condition, Field(description="A bare expression.")]
    steps: Annotated[list[AnyStep], Field(min_length=1, description="The steps of this branch.")]


class Otherwise(Written):
    """The last branch of `choose`: taken if no other is."""

    otherwise: Annotated[
        list[AnyStep], Field(min_length=1, description="The steps of this branch.")
    ]


def _branch(raw: Any) -> str:
    return "~otherwise" if isinstance(raw, dict) and "otherwise" in raw else "~branch"


AnyBranch = Annotated[
    Annotated[Branch, Tag("~branch")] | Annotated[Otherwise, Tag("~otherwise")],
    Discriminator(_branch),
]


class ChooseStep(Step):
    """The first branch whose condition holds."""

    choose: Annotated[
        list[AnyBranch],
        Field(min_length=1, max_length=50, description="The branches, in order; `otherwise` last."),
    ]


class Repetition(Written):
    """Steps that are repeated until a condition holds."""

    steps: Annotated[list[AnyStep], Field(min_length=1, description="The steps of one round.")]
    until: Annotated[
        Condition,
        Field(description="A bare expression, asked after each round; sees the round's steps."),
    ]
    at_most: Annotated[int, Field(ge=1, le=1000, description="How many rounds at most.")]
    every: Annotated[
        Duration | None, Field(description="The pause between two rounds; left out, none.")
    ] = None


class RepeatStep(Step):
    """Steps again and again, until a condition holds, so many times at most."""

    repeat: Annotated[Repetition, Field(description="The steps, and until when.")]


class Event(Written):
    """A further alert that is waited for."""

    event: Annotated[
        Condition, Field(description="A bare expression over `event`, the further alert.")
    ]
    within: Annotated[Duration, Field(description="How long it is waited for.")]
    otherwise: Annotated[
        Literal["fail", "continue"], Field(description="When it did not come in time.")
    ] = "fail"


def _word_or_object(raw: Any) -> str:
    return "~object" if isinstance(raw, dict) else "~word"


class WaitStep(Step):
    """A pause, or the wait for a further alert."""

    wait: Annotated[
        Annotated[DurationOrTemplate, Tag("~word")] | Annotated[Event, Tag("~object")],
        Discriminator(_word_or_object),
        Field(description="How long, or for which event."),
    ]


class FormField(Written):
    """One field of a form."""

    type: Annotated[
        Literal["text", "boolean", "integer", "choice"], Field(description="What is filled in.")
    ]
    label: Annotated[Line, Field(description="What the person sees beside it.")]
    required: Annotated[bool, Field(description="Whether it has to be filled in.")] = True
    choices: Annotated[
        list[Line], Field(max_length=50, description="What can be chosen, with `type: choice`.")
    ] = []


class Question(Written):
    """A question to a person."""

    question: Annotated[
        str,
        Field(
            min_length=1, max_length=2_000, description="What the person is asked; may hold ${{ }}."
        ),
    ]
    form: Annotated[
        dict[Identifier, FormField],
        Field(min_length=1, max_length=50, description="The fields that are filled in."),
    ]
    by: Annotated[
        Line | None,
        Field(
            description="The group whose members may answer; left out, anyone with the permission."
        ),
    ] = None
    within: Annotated[Duration, Field(description="How long the answer is waited for.")] = 3_600
    otherwise: Annotated[
        Literal["stop", "continue"], Field(description="What happens when nobody answered in time.")
    ] = "stop"


class AskStep(Step):
    """A form for a person."""

    ask: Annotated[Question, Field(description="The question and its form.")]


class CallStep(Step):
    """Another playbook, pinned to a version."""

    call: Annotated[PinnedPlaybook, Field(description="name@version.")]
    inputs: Annotated[
        dict[str, Any], Field(alias="with", description="Its inputs; texts may hold ${{ }}.")
    ] = {}


def kind_of_step(raw: Any) -> str | None:
    """The tag of what an author wrote as a step; None when it is of no kind, or of several."""
    found = [kind for kind in KINDS if isinstance(raw, dict) and kind in raw]
    return f"~{found[0]}" if len(found) == 1 else None


AnyStep = Annotated[
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
        custom_error_message=f"a step does exactly one thing; give it one of {', '.join(KINDS)}",
    ),
]


def _word_or_steps(raw: Any) -> str:
    return "~steps" if isinstance(raw, list) else "~word"


OnError = Annotated[
    Annotated[Literal["fail", "continue"], Tag("~word")]
    | Annotated[list[AnyStep], Field(min_length=1), Tag("~steps")],
    Discriminator(_word_or_steps),
]

TAGGED: dict[str, type[Written]] = {
    "~use": UseStep,
    "~parallel": ParallelStep,
    "~for_each": ForEachStep,
    "~choose": ChooseStep,
    "~repeat": RepeatStep,
    "~wait": WaitStep,
    "~ask": AskStep,
    "~call": CallStep,
    "~branch": Branch,
    "~otherwise": Otherwise,
    "~object": Event,
}

_MODELS: tuple[type[Written], ...] = (Step, *TAGGED.values(), Repetition)
for _model in _MODELS:
    _model.model_rebuild()
