"""Tables of published playbook versions and their signatures."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Text
from sqlmodel import Field

from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime


class PlaybookRow(Authentic, table=True):
    """A published version: never altered; `retired` only keeps new runs from starting."""

    __tablename__ = "playbook_versions"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    digest: str
    title: str
    owner: str
    plan: dict[str, Any] = Field(sa_type=JSON)
    source: str = Field(sa_type=Text)
    positions: dict[str, Any] = Field(sa_type=JSON, default={})
    published_at: datetime = Field(sa_type=UtcDateTime)
    published_by: str
    retired: bool = False
    # Its trigger exceeded its budget: it starts no runs until it is published again.
    set_aside_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    set_aside_reason: str | None = None
    stage: str = "live"  # live: the newest takes the next alert; shadow: runs dry next to it
    tests: str | None = Field(
        default=None, sa_type=Text
    )  # its tests.yaml, as it was when it was published
    files: dict[str, str] = Field(sa_type=JSON, default={})  # the files that its tests name, base64
    report: dict[str, Any] | None = Field(
        sa_type=JSON, default=None
    )  # what checks, tests and coverage said of it


class SigningKeyRow(Authentic, table=True):
    """A person's public key, by which their signatures under playbook versions are believed."""

    __tablename__ = "signing_keys"
    fingerprint: str = Field(primary_key=True)
    person: str = Field(index=True)
    public_key: str  # base64 of the 32 bytes
    added_by: str
    added_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SignatureRow(Authentic, table=True):
    """A signature under a published version: its author's, or of one who has reviewed it."""

    __tablename__ = "version_signatures"
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    role: str = Field(primary_key=True)  # author, reviewer
    person: str = Field(primary_key=True)
    fingerprint: str
    digest: str  # of the plan that was signed
    signature: str
    at: datetime = Field(sa_type=UtcDateTime)
