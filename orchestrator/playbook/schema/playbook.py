"""The schema of a playbook, without any knowledge of connections and data flow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.playbook.plan import InputType
from orchestrator.playbook.schema.fields import (
    AuthoredModel,
    Condition,
    Duration,
    Identifier,
    Line,
    PlaybookName,
    Technique,
)
from orchestrator.playbook.schema.steps import AnyStepSpec


class TriggerSpec(AuthoredModel):
    """The alerts that start a run."""

    when: Annotated[Condition, Field(description="A bare expression over `alert`.")]
    once_per: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2_000,
            description="Names the run. Alerts with the same name share a run.",
        ),
    ] = "${{ alert.id }}"
    within: Annotated[
        Duration, Field(description="How long further alerts with the same name share the run.")
    ] = 86_400


class InputFieldSpec(AuthoredModel):
    """An input of a playbook that is started by hand or by `call`."""

    type: Annotated[InputType, Field(description="The type of the value.")]
    description: Annotated[str, Field(max_length=500, description="What it is for.")] = ""
    required: Annotated[bool, Field(description="Whether a value is required.")] = True
    default: Annotated[Any, Field(description="The value without input.")] = None


class LimitsSpec(AuthoredModel):
    """The playbook's own limits, on top of those of the policy."""

    runs_per_hour: Annotated[
        int | None,
        Field(ge=1, description="Runs in an hour; people are asked before any further run starts."),
    ] = None
    hosts_per_run: Annotated[
        int | None, Field(ge=0, description="Hosts that one run may change.")
    ] = None
    users_per_run: Annotated[
        int | None, Field(ge=0, description="Users that one run may change.")
    ] = None
    addresses_per_run: Annotated[
        int | None, Field(ge=0, description="Addresses that one run may change.")
    ] = None


def _word_or_steps(raw: Any) -> str:
    return "~steps" if isinstance(raw, list) else "~word"


class PlaybookSpec(AuthoredModel):
    """A playbook: the alerts that it answers, and its steps."""

    playbook: Annotated[PlaybookName, Field(description="The name.")]
    version: Annotated[
        int,
        Field(
            ge=1,
            le=999_999,
            description="Increase it with every change; a published version never changes.",
        ),
    ]
    title: Annotated[Line, Field(description="What it does, in one line.")]
    owner: Annotated[Line, Field(description="The team that is responsible for it.")]
    attack: Annotated[
        list[Technique],
        Field(max_length=50, description="The ATT&CK techniques that it responds to."),
    ] = []
    trigger: Annotated[
        TriggerSpec | None,
        Field(
            description="The alerts that start it; without it, it is started by hand or by `call`."
        ),
    ] = None
    inputs: Annotated[
        dict[Identifier, InputFieldSpec],
        Field(max_length=50, description="The inputs when it is started by hand or by `call`."),
    ] = {}
    limits: Annotated[LimitsSpec, Field(description="Limits on its changes.")] = LimitsSpec()
    steps: Annotated[list[AnyStepSpec], Field(min_length=1, description="The steps, in order.")]
    on_failure: Annotated[
        Annotated[Literal["roll_back", "stop"], Tag("~word")]
        | Annotated[list[AnyStepSpec], Field(min_length=1), Tag("~steps")],
        Discriminator(_word_or_steps),
        Field(
            description="After a failure: undo the changes, newest first; stop; or run these steps."
        ),
    ] = "stop"
