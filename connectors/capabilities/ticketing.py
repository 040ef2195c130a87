"""Ticket systems: open, comment, close."""

from typing import Annotated, Any, Literal

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, DisplayText, Input, Output
from orchestrator.domain.change import Effect


class OpenTicket(Input):
    """A new ticket."""

    title: Annotated[
        str, Field(min_length=1, max_length=250), DisplayText(250, whole_in="description")
    ]
    description: Annotated[str, Field(max_length=30_000), DisplayText(30_000)] = ""
    priority: Literal["low", "medium", "high", "critical"] = "medium"
    evidence: Any = None
    """Any JSON. The ticket shows it as a code block."""
    labels: tuple[str, ...] = ()


class CommentTicket(Input):
    """A comment on an existing ticket."""

    key: Annotated[str, Field(min_length=1, max_length=100)]
    text: Annotated[str, Field(min_length=1, max_length=30_000), DisplayText(30_000)]


class TicketKey(Input):
    """A ticket, by its key."""

    key: Annotated[str, Field(min_length=1, max_length=100)]


class Ticket(Output):
    """The location of a ticket."""

    key: str
    url: str


class TicketDetails(Output):
    """A ticket in its current state."""

    key: str
    url: str
    title: str
    status: str
    closed: bool


class Ticketing(Capability):
    """A system that tracks work."""

    capability = "ticketing"
    default_connection = "tickets"
    actions = (
        ActionSpec(
            name="find",
            effect=Effect.READ,
            input=TicketKey,
            output=TicketDetails,
            summary="Look up a ticket.",
        ),
        ActionSpec(
            name="open",
            effect=Effect.NOTIFY,
            input=OpenTicket,
            output=Ticket,
            summary="Open a ticket, once per step of a run.",
        ),
        ActionSpec(
            name="comment",
            effect=Effect.NOTIFY,
            input=CommentTicket,
            output=Ticket,
            summary="Add a comment to a ticket.",
        ),
        ActionSpec(
            name="close",
            effect=Effect.NOTIFY,
            input=TicketKey,
            output=Ticket,
            summary="Close a ticket.",
        ),
    )
