"""Tables of alerts, and of message ids that protect against replays."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class ReplayRow(SQLModel, table=True):
    """A message id that was accepted, so that a second message with it is refused."""

    __tablename__ = "replays"
    source: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    sent: int  # seconds since 1970, as signed
    body_sha256: str  # the sender's own retry has the same body and gets the same answer
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)


class AlertRow(SQLModel, table=True):
    """One alert: the body as it was received, and its normal form."""

    __tablename__ = "alerts"
    __table_args__ = (
        UniqueConstraint("source", "dedup_key"),
        Index("ix_alerts_source", "source", "received_at"),
        Index("ix_alerts_alert_class", "alert_class", "received_at"),
        Index("ix_alerts_source_fingerprint", "source", "fingerprint"),
    )
    id: str = Field(primary_key=True)
    source: str
    product: str
    dedup_key: str
    fingerprint: str  # what an alert and the report of its end share
    incident_id: str = Field(index=True)
    title: str
    severity: int
    alert_class: str
    view: dict[str, Any] = Field(sa_type=JSON)  # what playbooks read
    # The body; empty where another alert of the same body holds it.
    raw: bytes = Field(sa_type=LargeBinary)
    raw_sha256: str = Field(index=True)  # of the body
    seen: int = 1
    # Where the trace of its request is (W3C `traceparent`); None where none is exported.
    trace: str | None = None
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
