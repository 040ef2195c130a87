"""Tables of what sources sent: counts by day, and the deliveries that were rejected."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, Index, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.store.tables.columns import UtcDateTime, enum_column


class SourceDayRow(SQLModel, table=True):
    """What a source sent on one day (UTC)."""

    __tablename__ = "source_days"
    source: str = Field(primary_key=True)
    day: date = Field(sa_type=Date, primary_key=True)
    accepted: int = 0  # deliveries with at least one new alert
    duplicates: int = 0  # deliveries of which every alert was known
    unreadable: int = 0  # deliveries of which a part, or all, could not be read
    partial: int = 0  # deliveries that are both accepted and unreadable
    refused: int = 0  # requests that did not prove their source
    last_at: datetime = Field(sa_type=UtcDateTime)
    unreadable_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RejectedRow(SQLModel, table=True):
    """A delivery of an authenticated source that was not accepted, or not completely."""

    __tablename__ = "rejected_deliveries"
    __table_args__ = (
        UniqueConstraint("source", "body_sha256"),
        Index("ix_rejected_deliveries_source", "source", "received_at"),
    )
    id: str = Field(primary_key=True)
    source: str
    product: str
    reason: RejectionReason = Field(sa_type=enum_column(RejectionReason))
    status: int  # the HTTP status of the answer
    detail: str = Field(sa_type=Text)
    items: list[dict[str, Any]] = Field(sa_type=JSON, default=[])  # index and reason of each
    # The body as sent, sealed; None where it was too large, or after a complete replay.
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    body_sha256: str  # empty where the body is unknown
    bytes: int
    content_type: str
    content_encoding: str
    seen: int = 1
    state: RejectionState = Field(default=RejectionState.KEPT, sa_type=enum_column(RejectionState))
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_seen_at: datetime = Field(sa_type=UtcDateTime, index=True)
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
