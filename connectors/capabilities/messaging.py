"""Chat: post messages."""

from typing import Annotated

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, DisplayText, Input, Output
from orchestrator.domain.change import Effect

MentionedId = Annotated[
    str,
    Field(
        pattern=r"^(here|channel|everyone|[A-Za-z0-9_-]{2,60})$",
        json_schema_extra={"x-literal": True},
    ),
]


class PostMessage(Input):
    """A message to a channel. The text appears literally, without markup."""

    channel: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1, max_length=10_000), DisplayText(10_000)]
    mention: Annotated[
        tuple[MentionedId, ...],
        Field(
            max_length=10,
            description="Who is mentioned in front of the text: here, channel, everyone, or the "
            "vendor's id of a person or a group. Written literally: an alert must not choose it.",
            json_schema_extra={"x-literal": True},
        ),
    ] = ()


class Message(Output):
    """The location of a message."""

    channel: str
    id: str
    """The vendor's id of the message."""


class Messaging(Capability):
    """A system that delivers messages to people."""

    capability = "messaging"
    default_connection = "chat"
    actions = (
        ActionSpec(
            name="post",
            effect=Effect.NOTIFY,
            input=PostMessage,
            output=Message,
            summary="Post a message, once per step of a run.",
        ),
    )
