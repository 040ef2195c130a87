"""Tables of the environment: sources, connections, assets, own infrastructure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field, SQLModel

from orchestrator.domain.run import Mode
from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime, enum_column


class SourceRow(Authentic, table=True):
    """A product that sends alerts."""

    __tablename__ = "sources"
    name: str = Field(primary_key=True)
    product: str
    scheme: str
    secret: bytes = Field(sa_type=LargeBinary)  # sealed
    # The secret before the last rotation, sealed, and until when it is accepted too.
    old_secret: bytes | None = Field(default=None, sa_type=LargeBinary)
    old_secret_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    options: dict[str, Any] = Field(sa_type=JSON, default={})
    mapping: dict[str, Any] | None = Field(sa_type=JSON, default=None)
    correlate_by: str = "host"
    correlate_within: int = 3600  # seconds
    mode: Mode = Field(default=Mode.LIVE, sa_type=enum_column(Mode))  # of the runs its alerts start
    senders: list[str] = Field(sa_type=JSON, default=[])  # networks; empty: any
    created_at: datetime = Field(sa_type=UtcDateTime)


class ConnectionRow(Authentic, table=True):
    """A name that playbooks use, bound to a connector and its settings."""

    __tablename__ = "connections"
    name: str = Field(primary_key=True)
    connector: str
    capability: str
    settings: dict[str, Any] = Field(sa_type=JSON)
    secrets: bytes = Field(sa_type=LargeBinary)  # JSON of one sealed text per credential
    revision: int = 1
    saved_at: datetime = Field(sa_type=UtcDateTime)
    # How many releases ended on it: a plan that was read before one of them is read again.
    releases: int = 0


class AssetRow(Authentic, table=True):
    """A host, user or network of the organization; the only source of `critical` and `kind`."""

    __tablename__ = "assets"
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    # A host's or user's name without the domain.
    short: str = Field(default="", index=True)
    kind: str = "unknown"
    critical: bool = False
    tags: list[str] = Field(sa_type=JSON, default=[])
    # Its other names, as type and canonical value: addresses, full names, device ids.
    also: list[list[str]] = Field(sa_type=JSON, default=[])


class AssetNameRow(SQLModel, table=True):
    """The index of the other names of assets; what an asset is called, its own row says."""

    __tablename__ = "asset_names"
    asset_type: str = Field(primary_key=True)
    asset_value: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True, index=True)
    short: str = Field(index=True)


class OwnRow(SQLModel, table=True):
    """Something that Tocsin itself depends on, as a process detected it; always protected."""

    __tablename__ = "own_infrastructure"
    node: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    why: str
    seen_at: datetime = Field(sa_type=UtcDateTime)
