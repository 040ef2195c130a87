"""Tables of people, their identities and API keys, and of answers to repeated requests."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from orchestrator.domain.access import FOUNDER, Membership, Permission, PersonKind, granted
from orchestrator.store.tables.authentic import Authentic
from orchestrator.store.tables.columns import UtcDateTime, enum_column


class PersonRow(Authentic, table=True):
    """A person or a service, to whom keys, a contact and identities belong."""

    __tablename__ = "people"
    id: str = Field(primary_key=True)
    name: str
    kind: PersonKind = Field(sa_type=enum_column(PersonKind))
    groups: dict[str, Any] = Field(sa_type=JSON, default={})
    """Each group with its `Membership`."""
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    enabled_at: datetime = Field(sa_type=UtcDateTime)
    """When the person was added, or enabled again."""
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    @property
    def memberships(self) -> dict[str, Membership]:
        """The groups that people gave."""
        return {name: Membership.model_validate(each) for name, each in self.groups.items()}


class IdentityRow(Authentic, table=True):
    """A person as an identity provider names them, with the groups that its claims gave."""

    __tablename__ = "identities"
    issuer: str = Field(primary_key=True)
    subject: str = Field(primary_key=True)
    person: str = Field(foreign_key="people.id", index=True)
    groups: dict[str, Any] = Field(sa_type=JSON, default={})
    added_at: datetime = Field(sa_type=UtcDateTime)

    @property
    def memberships(self) -> dict[str, Membership]:
        """The groups of the newest claims."""
        return {name: Membership.model_validate(each) for name, each in self.groups.items()}


class KeyRow(Authentic, table=True):
    """An API key of a person; only a hash of its token is stored, once the person has it."""

    __tablename__ = "api_keys"
    id: str = Field(primary_key=True)
    person: str = Field(foreign_key="people.id", index=True)
    hash: str | None = None  # null: its person has not received it
    roles: list[str] = Field(sa_type=JSON)
    scopes: list[str] | None = Field(sa_type=JSON, default=None)
    networks: list[str] | None = Field(sa_type=JSON, default=None)  # it is accepted from; null: any
    created_by: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enrolment_hash: str | None = Field(default=None, unique=True)
    enrolment_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enrolled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    needs_confirmation: bool = False
    confirmed_by: str | None = None
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)

    def is_live(self, now: datetime) -> bool:
        """Return whether its token is accepted."""
        return (
            self.hash is not None
            and self.revoked_at is None
            and (self.expires_at is None or self.expires_at > now)
        )

    @property
    def permissions(self) -> frozenset[Permission]:
        """The permissions of its roles, narrowed by its scopes."""
        return granted(self.roles, self.scopes)

    @property
    def usable_since(self) -> datetime | None:
        """When its person received it; None: with the installation."""
        return None if self.created_by == FOUNDER else self.enrolled_at


class IdempotencyRow(SQLModel, table=True):
    """A request with an Idempotency-Key, and its sealed answer; null while it runs."""

    __tablename__ = "idempotency_keys"
    id: str = Field(primary_key=True)
    request_digest: str
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    answer: bytes | None = None
