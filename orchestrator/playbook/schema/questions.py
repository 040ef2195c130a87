"""The schema of questions to people: approvals, and the forms of `ask`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from orchestrator.playbook.schema.fields import (
    AuthoredModel,
    Condition,
    Duration,
    Identifier,
    Line,
)


def _one_or_more(groups: Any) -> Any:
    return [] if groups is None else [groups] if isinstance(groups, str) else groups


_LINE = {"type": "string", "minLength": 1, "maxLength": 250}
_GROUPS = {"type": "array", "minItems": 1, "maxItems": 5, "items": _LINE}
Groups = Annotated[
    list[Line],
    Field(max_length=5),
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [_LINE, _GROUPS, {"type": "null"}]}),
]
"""One group, or several that are asked in turn."""


class ApproveSpec(AuthoredModel):
    """An approval of the exact changes of a step, required before they are applied."""

    when: Annotated[
        Condition | None, Field(description="Ask only if this is true; without it, always ask.")
    ] = None
    question: Annotated[
        str,
        Field(min_length=1, max_length=2_000, description="The question; may hold ${{ }}."),
    ]
    by: Annotated[
        Line | None,
        Field(description="The group that may answer; without it, anyone with the permission."),
    ] = None
    quorum: Annotated[int, Field(ge=1, le=10, description="How many people must approve.")] = 1
    within: Annotated[Duration, Field(description="How long to wait for an answer.")] = 900
    otherwise: Annotated[
        Literal["stop", "escalate"], Field(description="What to do when no one answers in time.")
    ] = "stop"
    escalate_to: Annotated[
        Groups,
        Field(description="With `otherwise: escalate`: the groups to ask next, each for `within`."),
    ] = []


class FormFieldSpec(AuthoredModel):
    """One field of a form."""

    type: Annotated[
        Literal["text", "boolean", "integer", "choice"],
        Field(description="The type of the answer."),
    ]
    label: Annotated[Line, Field(description="The label that the person sees.")]
    required: Annotated[bool, Field(description="Whether an answer is required.")] = True
    choices: Annotated[
        list[Line], Field(max_length=50, description="The choices, with `type: choice`.")
    ] = []


class AskSpec(AuthoredModel):
    """The question and form of an `ask`."""

    question: Annotated[
        str,
        Field(min_length=1, max_length=2_000, description="The question; may hold ${{ }}."),
    ]
    form: Annotated[
        dict[Identifier, FormFieldSpec],
        Field(min_length=1, max_length=50, description="The fields of the form."),
    ]
    by: Annotated[
        Line | None,
        Field(description="The group that may answer; without it, anyone with the permission."),
    ] = None
    within: Annotated[Duration, Field(description="How long to wait for an answer.")] = 3_600
    otherwise: Annotated[
        Literal["stop", "continue"], Field(description="What to do when no one answers in time.")
    ] = "stop"
