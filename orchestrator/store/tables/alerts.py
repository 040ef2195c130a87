"""What is kept of what came in: message ids, alerts, incidents?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class ReplayRow(SQLModel, table=True):
    """A message id that was seen, so that it is refused when it is sent again."""

    __tablename__ = "replays"
    source: str = Field(primary_key=True)
    message_id: str = Field(primary_key=True)
    sent: int  # seconds since 1970, as signed
    body_sha256: str  # the sender's own retry has the same body, and is answered as before
    seen_at: datetime = Field(sa_type=UtcDateTime, index=True)


class IncidentRow(SQLModel, table=True):
    """Related alerts."""

    __tablename__ = "incidents"
    id: str = Field(primary_key=True)
    correlation_key: str = Field(index=True)
    title: str
    severity: int
    status: str = "open"
    alerts: int = 1
    opened_at: datetime = Field(sa_type=UtcDateTime)
    last_alert_at: datetime = Field(sa_type=UtcDateTime)


class AlertRow(SQLModel, table=True):
    """One alert: what came, byte for byte, and its normal form."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("source", "dedup_key"),)
    id: str = Field(primary_key=True)
    source: str
    product: str
    dedup_key: str
    incident_id: str = Field(index=True)
    title: str
    severity: int
    alert_class: str
    view: dict[str, Any] = Field(sa_type=JSON)  # what playbooks see
    raw: bytes = Field(
        sa_type=LargeBinary
    )  # the body; empty where another alert of the same body has it
    raw_sha256: str = Field(index=True)  # of the body
    seen: int = 1
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
