"""Planned changes of Jira: a new ticket, a new comment, and the closing of a ticket."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.change import PlannedChange


class NewTicket(PlannedChange):
    """A ticket to open."""

    title: str
    body: dict[str, Any]
    labels: tuple[str, ...]
    priority: str | None
    after: int
    """The highest ticket number at the time of the plan; the new ticket's is higher."""
    key: str | None = None
    """The step's ticket, if it exists already."""


class NewComment(PlannedChange):
    """A comment to add to a ticket."""

    key: str
    body: dict[str, Any]


class TicketClosing(PlannedChange):
    """The closing of a ticket by a transition."""

    key: str
    status: str
    """The status at the time of the plan."""
    transition: str | None = None
    """The id of the transition."""
