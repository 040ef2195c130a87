"""What a Jira plan finds: the ticket to open, the comment to add, the transition to make."""

from __future__ import annotations

from typing import Any

from orchestrator.domain.change import PlannedChange


class PlannedOpen(PlannedChange):
    """A ticket to open. `key`: the one that is there already. `after`: the highest ticket number there was; ours is above it."""

    title: str
    body: dict[str, Any]
    labels: tuple[str, ...]
    priority: str | None
    after: int
    key: str | None = None


class PlannedComment(PlannedChange):
    """A comment to add to a ticket."""

    key: str
    body: dict[str, Any]


class PlannedClose(PlannedChange):
    """A transition to make. `status`: what it was before."""

    key: str
    status: str
    transition: str | None = None
