"""What an author may write: the whole playbook, before anything is known of connections and data flow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.playbook.schema.fields import (
    Condition,
    Duration,
    Identifier,
    Line,
    PlaybookName,
    Technique,
    Written,
)
from orchestrator.playbook.schema.steps import AnyStep


class Trigger(Written):
    """Which alerts start a run."""

    when: Annotated[Condition, Field(description="A bare expression over `alert`.")]
    once_per: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2_000,
            description="Names the run: a second alert of that name is the same run.",
        ),
    ] = "${{ alert.id }}"
    within: Annotated[
        Duration, Field(description="How long a run covers further alerts of the same name.")
    ] = 86_400


class InputField(Written):
    """An input of a playbook that is started by hand or by `call`."""

    type: Annotated[
        Literal[
            "text",
            "boolean",
            "integer",
            "number",
            "list",
            "object",
            "address",
            "domain",
            "host",
            "user",
            "url",
            "hash",
            "email",
        ],
        Field(description="What is given."),
    ]
    description: Annotated[str, Field(max_length=500, description="What it is for.")] = ""
    required: Annotated[bool, Field(description="Whether it has to be given.")] = True
    default: Annotated[Any, Field(description="What it is when it is not given.")] = None


class Limits(Written):
    """What this playbook may do at most, beside the policy's own limits."""

    runs_per_hour: Annotated[
        int | None,
        Field(ge=1, description="Runs in an hour; of each more, people are asked first."),
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


class Playbook(Written):
    """A playbook: what it answers to, and what is then done."""

    playbook: Annotated[PlaybookName, Field(description="Its name.")]
    version: Annotated[
        int,
        Field(
            ge=1,
            le=999_999,
            description="Grows with every change; a published version never changes.",
        ),
    ]
    title: Annotated[Line, Field(description="What it does, in one line.")]
    owner: Annotated[Line, Field(description="The team that answers for it.")]
    attack: Annotated[
        list[Technique], Field(max_length=50, description="The ATT&CK techniques that it answers.")
    ] = []
    trigger: Annotated[
        Trigger | None,
        Field(description="Which alerts start it; left out, it is started by hand or by `call`."),
    ] = None
    inputs: Annotated[
        dict[Identifier, InputField],
        Field(
            max_length=50, description="What it is given when it is started by hand or by `call`."
        ),
    ] = {}
    limits: Annotated[Limits, Field(description="What it may do at most.")] = Limits()
    steps: Annotated[list[AnyStep], Field(min_length=1, description="What is done, in order.")]
    on_failure: Annotated[
        Annotated[Literal["roll_back", "stop"], Tag("~word")]
        | Annotated[list[AnyStep], Field(min_length=1), Tag("~steps")],
        Discriminator(_word_or_steps),
        Field(
            description="When a step fails: undo what was changed (newest first), stop, or run these steps."
        ),
    ] = "stop"
