"""What is kept of a run and its steps?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class RunRow(SQLModel, table=True):
    """One run of a playbook version."""

    __tablename__ = "runs"
    id: str = Field(primary_key=True)
    playbook: str = Field(index=True)
    version: int
    plan_digest: str
    incident_id: str | None = Field(default=None, index=True)
    alert_id: str | None = Field(default=None, index=True)
    source: str | None = None
    severity: int = 0
    status: str = Field(index=True)
    mode: str = "live"
    attempt: int = 1
    once_key: str | None = None
    inputs: dict[str, Any] = Field(sa_type=JSON, default={})
    started_by: str
    shadow_of: str | None = Field(
        default=None, index=True
    )  # the live run beside which this one runs dry
    over_limit: int | None = (
        None  # the playbook's runs_per_hour that it goes beyond: people are asked before it begins
    )
    dispatched: bool = Field(default=False, index=True)  # whether Temporal has it
    error: str | None = Field(default=None, sa_type=Text)
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RunKeyRow(SQLModel, table=True):
    """`once_per`: the newest run for a playbook and key."""

    __tablename__ = "run_keys"
    playbook: str = Field(primary_key=True)
    once_key: str = Field(primary_key=True)
    run_id: str
    at: datetime = Field(sa_type=UtcDateTime)


class StepRow(SQLModel, table=True):
    """How a step of a run went. `path` is unique in the run: `contain/block`, `each[3]/block`."""

    __tablename__ = "steps"
    run_id: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    kind: str
    state: str
    seq: int
    connection: str | None = None
    action: str | None = None
    inputs: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    inputs_digest: str | None = Field(
        default=None, index=True
    )  # of connection, action and input, so that a read is found again
    planned_change: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    planned: dict[str, Any] | None = Field(
        sa_type=JSON, default=None
    )  # of the change: effect, digest, for how many seconds
    verdict: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    asked: dict[str, Any] | None = Field(
        sa_type=JSON, default=None
    )  # who is, or would be, asked: question, by, quorum, reasons
    result: Any = Field(sa_type=JSON, default=None)
    error: str | None = Field(default=None, sa_type=Text)
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
