"""Chat: post messages."""

from typing import Annotated

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect


class PostMessage(Input):
    """A message to a channel. The text appears literally, without markup."""

    channel: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


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
