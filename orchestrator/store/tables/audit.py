"""Tables of the audit trail: events, their places in the chain, and its signed batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class AuditEventRow(SQLModel, table=True):
    """One event of the trail."""

    __tablename__ = "audit_events"
    number: int | None = Field(default=None, primary_key=True)
    id: str = Field(unique=True)
    kind: str = Field(index=True)
    time: str = Field(index=True)  # the canonical form that is hashed
    actor: str = Field(index=True)
    subject: str = Field(index=True)
    data: dict[str, Any] = Field(sa_type=JSON)
    mac: str  # by the process that wrote the event, over all columns but the number


class AuditQuarantineRow(SQLModel, table=True):
    """An event that no process of this installation wrote as it is; it is never sealed."""

    __tablename__ = "audit_quarantine"
    event_number: int = Field(primary_key=True)
    event_id: str
    found_at: datetime = Field(sa_type=UtcDateTime)


class AuditSinkRow(SQLModel, table=True):
    """How far one sink has the trail, and which worker delivers to it."""

    __tablename__ = "audit_sinks"
    name: str = Field(primary_key=True)
    batch: int
    digest: str
    acknowledged_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    mac: str  # over the columns above
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Text)
    claimed_by: str | None = None
    claimed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AuditSealRow(SQLModel, table=True):
    """The place of an event in the chain, written once by the sealer."""

    __tablename__ = "audit_seals"
    seq: int = Field(primary_key=True)
    event_number: int = Field(unique=True)
    leaf: str


class AuditBatchRow(SQLModel, table=True):
    """One signed batch of the chain."""

    __tablename__ = "audit_batches"
    number: int = Field(primary_key=True)
    first_seq: int = Field(index=True)
    last_seq: int
    record: dict[str, Any] = Field(sa_type=JSON)
