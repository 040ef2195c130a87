"""Table of observables: what alerts name, and what runs and approvals are about, by value."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime, enum_column


class SubjectKind(StrEnum):
    """What names an observable."""

    ALERT = "alert"
    RUN = "run"
    APPROVAL = "approval"


TARGET = "target"
"""The role of an observable that a run plans to change, or that an approval is about."""


class ObservableRow(SQLModel, table=True):
    """One value that a subject names, in canonical spelling. Written with the subject."""

    __tablename__ = "observables"
    __table_args__ = (
        Index("ix_observables_value", "value", "type"),
        Index("ix_observables_short", "short", "type"),
    )
    subject: str = Field(primary_key=True)  # the id of an alert, a run or an approval
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    kind: SubjectKind = Field(sa_type=enum_column(SubjectKind))
    short: str  # of a host or user: without the domain
    role: str  # of an alert's: local, remote, subject, related; else: target
    at: datetime = Field(sa_type=UtcDateTime)
