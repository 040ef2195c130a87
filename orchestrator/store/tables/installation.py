"""Table of the installation itself: one row, which binds the database to its keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from orchestrator.store.tables.columns import UtcDateTime

SLOT = 1
"""The primary key of the only row."""


class InstallationRow(SQLModel, table=True):
    """The identity of the installation that this database belongs to."""

    __tablename__ = "installation"
    slot: int = Field(default=SLOT, primary_key=True, sa_column_kwargs={"autoincrement": False})
    id: str
    key_check: bytes = Field(sa_type=LargeBinary)  # the id, sealed by the key in use
    key_since: datetime = Field(sa_type=UtcDateTime)  # when everything was sealed by that key
    audit_key: str  # the public key of the audit trail, in hex
    created_at: datetime = Field(sa_type=UtcDateTime)
