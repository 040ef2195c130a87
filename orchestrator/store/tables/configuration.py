"""What is kept of what Tocsin is told of its surroundings: sources, connections, assets, its own machines?"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime


class SourceRow(SQLModel, table=True):
    """Where alerts come from."""

    __tablename__ = "sources"
    name: str = Field(primary_key=True)
    product: str
    scheme: str
    secret: bytes = Field(sa_type=LargeBinary)  # sealed
    options: dict[str, Any] = Field(sa_type=JSON, default={})
    mapping: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    correlate_by: str = "host"
    correlate_within: int = 3600  # seconds
    mode: str = "live"  # dry_run: its alerts start runs that only look
    created_at: datetime = Field(sa_type=UtcDateTime)


class ConnectionRow(SQLModel, table=True):
    """A name that playbooks use, bound to a connector and its settings."""

    __tablename__ = "connections"
    name: str = Field(primary_key=True)
    connector: str
    capability: str
    settings: dict[str, Any] = Field(sa_type=JSON)
    secrets: bytes = Field(sa_type=LargeBinary)  # sealed JSON object
    revision: int = 1
    saved_at: datetime = Field(sa_type=UtcDateTime)


class AssetRow(SQLModel, table=True):
    """What we know of our own things; the only place where `critical` and `kind` come from."""

    __tablename__ = "assets"
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    short: str = Field(
        default="", index=True
    )  # a host's name without its domain, a user's without theirs
    kind: str = "unknown"
    critical: bool = False
    tags: list[str] = Field(sa_type=JSON, default=[])


class OwnRow(SQLModel, table=True):
    """What Tocsin itself stands on, as each process found it: protected without being listed."""

    __tablename__ = "own_infrastructure"
    node: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    why: str
    seen_at: datetime = Field(sa_type=UtcDateTime)
