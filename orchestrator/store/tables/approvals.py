"""What is kept of a question to people, and of their answers?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class ApprovalRow(SQLModel, table=True):
    """A question to people about exact changes, or (kind `form`) for an answer."""

    __tablename__ = "approvals"
    id: str = Field(primary_key=True)
    run_id: str = Field(index=True)
    workflow_id: str  # which workflow waits for the answer
    delivered: bool = False  # whether that workflow has it
    path: str
    kind: str  # change, form
    question: str = Field(sa_type=Text)
    changes: list[dict[str, Any]] = Field(sa_type=JSON, default=[])
    form: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    digest: str
    by_group: str | None = None
    quorum: int = 1
    state: str = Field(index=True)  # pending, approved, declined, expired, withdrawn, void
    reasons: list[str] = Field(sa_type=JSON, default=[])
    escalated: bool = False
    level: int = 0  # how far up the chain: 0 asks those who were named first
    asked_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    replaced_by: str | None = None  # the approval that asks anew, of one that is void
    reminders: int = 0
    remind_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    glass_broken_by: str | None = None  # an admin who decided alone
    glass_reason: str | None = Field(default=None, sa_type=Text)
    review: str | None = Field(
        default=None, index=True
    )  # pending, accepted, objected: what somebody else says of it afterwards
    reviewed_by: str | None = None
    reviewed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    review_comment: str = Field(default="", sa_type=Text)


class AnswerRow(SQLModel, table=True):
    """One person's answer to one approval; a second is refused by the key."""

    __tablename__ = "approval_answers"
    approval_id: str = Field(primary_key=True)
    person: str = Field(primary_key=True)
    key_id: str
    decision: str
    comment: str = Field(default="", sa_type=Text)
    form: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    via: str = "api"  # api, email, slack
    at: datetime = Field(sa_type=UtcDateTime)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
