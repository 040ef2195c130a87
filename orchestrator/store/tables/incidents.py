"""Tables of incidents and tasks."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Text
from sqlmodel import Field, SQLModel

from orchestrator.domain.incident import IncidentStatus, TaskKind, TaskState
from orchestrator.store.tables.columns import UtcDateTime, enum_column, partial


class IncidentRow(SQLModel, table=True):
    """Alerts that belong together."""

    __tablename__ = "incidents"
    __table_args__ = (Index("ix_incidents_status", "status", "opened_at"),)
    id: str = Field(primary_key=True)
    correlation_key: str = Field(index=True)
    title: str
    severity: int
    status: IncidentStatus = Field(default=IncidentStatus.OPEN, sa_type=enum_column(IncidentStatus))
    alerts: int = 1
    incomplete: int = 0  # how many of its alerts leave something of their payload out
    opened_at: datetime = Field(sa_type=UtcDateTime, index=True)
    last_alert_at: datetime = Field(sa_type=UtcDateTime)


class TaskRow(SQLModel, table=True):
    """Something that needs a person."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_state", "state", "opened_at"),
        Index("ix_tasks_kind", "kind", "opened_at"),
        Index("ix_tasks_open", "kind", "subject", **partial("closed_at IS NULL")),
    )
    id: str = Field(primary_key=True)
    kind: TaskKind = Field(sa_type=enum_column(TaskKind))
    subject: str = Field(index=True)
    summary: str = Field(sa_type=Text)
    to_group: str | None = None
    state: TaskState = Field(default=TaskState.OPEN, sa_type=enum_column(TaskState))
    opened_at: datetime = Field(sa_type=UtcDateTime, index=True)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    closed_by: str | None = None
    comment: str = Field(default="", sa_type=Text)

    def close(self, by: str, comment: str, now: datetime) -> None:
        """Close it. Raise Conflict when it is closed already."""
        self.state = self.state.close()
        self.closed_at = now
        self.closed_by = by
        self.comment = comment
