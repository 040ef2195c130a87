"""Planned changes of Slack: a new message."""

from __future__ import annotations

from orchestrator.domain.change import PlannedChange


class NewMessage(PlannedChange):
    """A message to post."""

    channel: str
    text: str
    mentions: tuple[str, ...] = ()
    """In Slack's markup, such as `<!here>`; the author of the playbook chose them."""
    after: str
    """The timestamp of the newest message at the time of the plan; the new message is newer."""
    ts: str | None = None
    """The timestamp of the step's message, if it exists already."""
