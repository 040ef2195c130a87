"""The schema of questions to people: approvals, and the forms of `ask`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

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


def _evidence_shape(raw: Any) -> str:
    return "~object" if isinstance(raw, dict) else "~list"


def _whole(value: str) -> str:
    if not value.startswith("${{") or not value.endswith("}}"):
        message = "must be one whole ${{ }}; write `label: text` for anything else"
        raise ValueError(message)
    return value


MAX_EVIDENCE = 20
Evidence = Annotated[
    Annotated[dict[Line, str], Field(max_length=MAX_EVIDENCE), Tag("~object")]
    | Annotated[
        list[Annotated[str, AfterValidator(_whole)]], Field(max_length=MAX_EVIDENCE), Tag("~list")
    ],
    Discriminator(_evidence_shape),
    Field(
        description=(
            "What people see with the question, as a table: label and text, which may hold ${{ }};"
            " or a list of ${{ }}."
        )
    ),
]


class ApproveSpec(AuthoredModel):
    """An approval of the exact changes of a step, required before they are applied."""

    when: Annotated[
        Condition | None, Field(description="Ask only if this is true; without it, always ask.")
    ] = None
    question: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=2_000,
            description=(
                "The question; may hold ${{ }}, and ${{ changes }} for the planned changes. "
                "Without it, the planned changes make the question."
            ),
        ),
    ] = None
    evidence: Evidence = {}
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
        Literal["text", "secret", "boolean", "integer", "choice"],
        Field(description="The type of the answer; a secret is encrypted, and no step reads it."),
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
    evidence: Evidence = {}
    by: Annotated[
        Line | None,
        Field(description="The group that may answer; without it, anyone with the permission."),
    ] = None
    within: Annotated[Duration, Field(description="How long to wait for an answer.")] = 3_600
    otherwise: Annotated[
        Literal["stop", "continue"], Field(description="What to do when no one answers in time.")
    ] = "stop"
