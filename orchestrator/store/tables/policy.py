"""Tables of policies, kill switches and circuit breakers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime


class PolicyRow(Authentic, table=True):
    """A published policy; the newest is in force."""

    __tablename__ = "policies"
    version: int = Field(primary_key=True)
    digest: str
    document: dict[str, Any] = Field(sa_type=JSON)
    source: str = Field(sa_type=Text)
    published_at: datetime = Field(sa_type=UtcDateTime)
    published_by: str


class KillSwitchRow(Authentic, table=True):
    """An engaged kill switch: scope `global`, `connection`, `playbook` or `source`."""

    __tablename__ = "kill_switches"
    scope: str = Field(primary_key=True)
    name: str = Field(primary_key=True, default="*")
    reason: str
    engaged_by: str
    engaged_at: datetime = Field(sa_type=UtcDateTime)
    stop_releases: bool = False


class BreakerRow(SQLModel, table=True):
    """A circuit breaker that tripped: the source's changes need approval until it is reset."""

    __tablename__ = "breakers"
    source: str = Field(primary_key=True)
    reason: str = Field(sa_type=Text)
    tripped_at: datetime = Field(sa_type=UtcDateTime)
    reset_at: datetime | None = Field(
        default=None, sa_type=UtcDateTime
    )  # containments before this time do not count again
