"""What is kept of how people are told: how they are reached, what was sent, what waits for them?"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class ContactRow(SQLModel, table=True):
    """How a person is reached; what they may do is said by their API keys."""

    __tablename__ = "contacts"
    person: str = Field(primary_key=True)
    email: str | None = None
    slack_user: str | None = Field(default=None, index=True)
    saved_at: datetime = Field(sa_type=UtcDateTime)


class NotificationRow(SQLModel, table=True):
    """A message to a person about a question or a task, and the one-time link in it; sent by the worker, tried until it is."""

    __tablename__ = "notifications"
    id: str = Field(primary_key=True)
    about: str = Field(index=True)  # the id of an approval or of a task
    person: str
    channel: str  # email, slack
    kind: str  # asked, reminder, escalated, closed, task
    state: str = Field(default="waiting", index=True)  # waiting, sent, failed, void
    token_hash: str | None = Field(default=None, unique=True)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    next_at: datetime = Field(sa_type=UtcDateTime)
    external_id: str | None = None  # by which the channel knows the message
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TaskRow(SQLModel, table=True):
    """Something that needs a person: a release that does not come off, drift, a tripped breaker, a broken glass."""

    __tablename__ = "tasks"
    id: str = Field(primary_key=True)
    kind: str
    subject: str = Field(index=True)
    summary: str = Field(sa_type=Text)
    to_group: str | None = None
    state: str = Field(default="open", index=True)  # open, closed
    opened_at: datetime = Field(sa_type=UtcDateTime)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_by: str | None = None
    comment: str = Field(default="", sa_type=Text)
