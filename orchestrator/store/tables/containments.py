"""What is kept of what was changed: intents, containments, the leases that hold them?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class EffectRow(SQLModel, table=True):
    """An intent and what became of it: written before the vendor is called."""

    __tablename__ = "effects"
    __table_args__ = (
        Index("ix_effects_run", "run_id", "seq"),
        Index("ix_effects_containment", "containment_key"),
        Index("ix_effects_source", "source", "intended_at"),
    )
    id: str = Field(primary_key=True)  # run, path, attempt
    run_id: str
    path: str
    seq: int
    playbook: str
    source: str | None = None
    connection: str = Field(index=True)
    connector: str
    action: str
    effect: str
    target_type: str
    target_value: str
    containment_key: str
    change: dict[str, Any] = Field(sa_type=JSON)
    change_digest: str
    output: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    state: str  # intended, applied, verified, failed, undone
    approval_id: str | None = None
    intended_at: datetime = Field(sa_type=UtcDateTime, index=True)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ContainmentRow(SQLModel, table=True):
    """A containment that runs share; the row that serializes all that is done to its target."""

    __tablename__ = "containments"
    key: str = Field(primary_key=True)
    connection: str
    action: str
    target_type: str
    target_value: str
    state: str  # held, lifting, lifted, stuck
    ours: bool = False  # whether we changed the device
    effect_id: str | None = None  # the effect whose planned_change takes it back
    since: datetime = Field(sa_type=UtcDateTime)
    lifted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    verified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Text)
    drift: str | None = (
        None  # gone: the device does not show it any more, and it was not made again
    )
    failures: int = 0  # releases in a row that did not come off
    retry_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime
    )  # when a stuck release is tried again
    escalated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lifting_until: datetime | None = Field(
        default=None, sa_type=UtcDateTime
    )  # who lifts it has the device to itself until then


class LeaseRow(SQLModel, table=True):
    """One run's hold on a containment. `until` None: until it is released by hand or rolled back."""

    __tablename__ = "leases"
    id: str = Field(primary_key=True)  # run, path
    containment_key: str = Field(index=True)
    run_id: str = Field(index=True)
    path: str
    until: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    state: str = "live"  # live, ended
    reason: str | None = None  # why it ended
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
