"""Ticket systems: open, comment, close."""

from typing import Annotated, Any, Literal

from pydantic import Field

from connectors.sdk.capability import ActionSpec, Capability, Input, Output
from orchestrator.domain.change import Effect


class OpenTicket(Input):
    """`evidence`: any JSON, put in the ticket as a code block."""

    title: Annotated[str, Field(min_length=1, max_length=250)]
    description: Annotated[str, Field(max_length=30_000)] = ""
    priority: Literal["low", "medium", "high", "critical"] = "medium"
    evidence: Any = None
    labels: tuple[str, ...] = ()


class CommentTicket(Input):
    """A remark on a ticket that is there."""

    key: Annotated[str, Field(min_length=1, max_length=100)]
    text: Annotated[str, Field(min_length=1, max_length=30_000)]


class TicketKey(Input):
    """A ticket, by its key."""

    key: Annotated[str, Field(min_length=1, max_length=100)]


class Ticket(Output):
    """Where the ticket is."""

    key: str
    url: str


class TicketDetails(Output):
    """A ticket as it stands."""

    key: str
    url: str
    title: str
    status: str
    closed: bool


class Ticketing(Capability):
    """A system of record for people's work."""

    capability = "ticketing"
    usual_connection = "tickets"
    actions = (
        ActionSpec(
            name="find",
            effect=Effect.READ,
            input=TicketKey,
            output=TicketDetails,
            summary="Look a ticket up.",
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
