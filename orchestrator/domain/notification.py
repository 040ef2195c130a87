"""Notifications: their kinds, channels and states."""

from __future__ import annotations

from enum import StrEnum

from orchestrator.domain.errors import Conflict


class NotificationKind(StrEnum):
    """What a notification says."""

    ASKED = "asked"
    REMINDER = "reminder"
    ESCALATED = "escalated"
    CLOSED = "closed"  # edits an earlier message: the approval is over
    REPLY = "reply"  # tells a person what became of their click
    TASK = "task"
    KEY = "key"  # a person has a new API key

    @property
    def opening(self) -> str:
        """The words before the question."""
        return {
            NotificationKind.REMINDER: "Still open",
            NotificationKind.ESCALATED: "Escalated to you",
        }.get(self, "Approval needed")


class Channel(StrEnum):
    """The way by which a notification reaches a person."""

    EMAIL = "email"
    SLACK = "slack"


class NotificationState(StrEnum):
    """The life of a notification. A transition that the state does not allow raises Conflict."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    VOID = "void"  # its subject was over before it was sent

    def send(self) -> NotificationState:
        """Return the state after it was sent; a void one may have been sent while it was voided."""
        return self._to(NotificationState.SENT)

    def fail(self) -> NotificationState:
        """Return the state after the last attempt failed."""
        return self._to(NotificationState.FAILED)

    def cancel(self) -> NotificationState:
        """Return the state of a notification whose subject is over."""
        return self._to(NotificationState.VOID)

    def _to(self, new: NotificationState) -> NotificationState:
        if new not in _TRANSITIONS[self]:
            raise Conflict(f"the notification is already {self}")
        return new


_TRANSITIONS: dict[NotificationState, frozenset[NotificationState]] = {
    NotificationState.WAITING: frozenset(
        {NotificationState.SENT, NotificationState.FAILED, NotificationState.VOID}
    ),
    NotificationState.VOID: frozenset({NotificationState.SENT}),
    NotificationState.SENT: frozenset({NotificationState.SENT}),
    NotificationState.FAILED: frozenset({NotificationState.SENT}),
}
