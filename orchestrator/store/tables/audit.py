"""Tables of the audit trail: events, their places in the chain, and its signed batches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel


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
    first_seq: int
    last_seq: int
    record: dict[str, Any] = Field(sa_type=JSON)
