"""Tables of API keys, and of the answers to requests that may be repeated."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime


class KeyRow(Authentic, table=True):
    """An API key; only a hash of its token is stored."""

    __tablename__ = "api_keys"
    id: str = Field(primary_key=True)
    hash: str
    person: str
    roles: list[str] = Field(sa_type=JSON)
    groups: list[str] = Field(sa_type=JSON, default=[])
    scopes: list[str] | None = Field(sa_type=JSON, default=None)
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class IdempotencyRow(SQLModel, table=True):
    """A request with an Idempotency-Key, and its sealed answer; null while it runs."""

    __tablename__ = "idempotency_keys"
    id: str = Field(primary_key=True)
    request_digest: str
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    answer: bytes | None = None
