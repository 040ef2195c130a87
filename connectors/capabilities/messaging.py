"""Chat: tell people."""

from typing import Annotated

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect


class PostMessage(Input):
    """A message to a channel; the text is shown as text, never as markup."""

    channel: Annotated[str, Field(min_length=1, max_length=80)]
    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class Message(Output):
    """Where the message is. `id`: the vendor's."""

    channel: str
    id: str


class Messaging(Capability):
    """A system that shows text to people."""

    capability = "messaging"
    usual_connection = "chat"
    actions = (
        ActionSpec(
            name="post",
            effect=Effect.NOTIFY,
            input=PostMessage,
            output=Message,
            summary="Post a message, once per step of a run.",
        ),
    )
