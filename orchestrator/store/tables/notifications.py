"""Tables of contacts and of notifications."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from orchestrator.domain.notification import Channel, NotificationKind, NotificationState
from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime, enum_column, partial


class ContactRow(Authentic, table=True):
    """How a person is reached. Their API keys hold their permissions."""

    __tablename__ = "contacts"
    person: str = Field(primary_key=True, foreign_key="people.id")
    email: str | None = None
    slack_user: str | None = Field(default=None, index=True)
    saved_at: datetime = Field(sa_type=UtcDateTime)
    saved_by: str


WAITING = "state = 'waiting'"
UNUSED_LINK = "token_hash IS NOT NULL AND used_at IS NULL"


class NotificationRow(SQLModel, table=True):
    """A message to a person, and the one-time link in it. The worker sends it, and retries."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_person", "person", "created_at"),
        Index("ix_notifications_state", "state", "created_at"),
        Index("ix_notifications_waiting", "next_at", **partial(WAITING)),
        Index("ix_notifications_links", "person", "expires_at", **partial(UNUSED_LINK)),
    )
    id: str = Field(primary_key=True)
    about: str = Field(index=True)  # the id of an approval, a batch of them, a task or a key
    person: str
    channel: Channel = Field(sa_type=enum_column(Channel))
    kind: NotificationKind = Field(sa_type=enum_column(NotificationKind))
    state: NotificationState = Field(
        default=NotificationState.WAITING, sa_type=enum_column(NotificationState)
    )
    token_hash: str | None = Field(default=None, unique=True)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # of the link
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)  # of the link
    attempts: int = 0
    next_at: datetime = Field(sa_type=UtcDateTime)
    external_id: str | None = None  # the channel's id of the message: `channel:timestamp` in Slack
    reply_to: str | None = None  # of a reply: where it goes, `channel:user` in Slack
    reply_text: str | None = Field(default=None, sa_type=Text)
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def is_gathering(self) -> bool:
        """Whether it was not composed yet, so that it will name what is asked until then."""
        return self.state is NotificationState.WAITING and self.attempts == 0

    def mark_sent(self, at: datetime, external_id: str | None) -> None:
        """Record that the message left."""
        self.state = self.state.send()
        self.sent_at = at
        self.error = None
        self.external_id = external_id or self.external_id

    def mark_failed(self) -> None:
        """Record that the message is not tried again. Raise Conflict unless it is waiting."""
        self.state = self.state.fail()

    def cancel(self) -> None:
        """Record that the message is not needed any more. Raise Conflict unless it is waiting."""
        self.state = self.state.cancel()

    def give_link(self, token_hash: str, expires_at: datetime) -> None:
        """Put a new link in the place of an earlier one, which opens nothing any more."""
        self.token_hash = token_hash
        self.expires_at = expires_at
        self.used_at = None
