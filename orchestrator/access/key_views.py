"""API keys as the API shows them: never with their token, except to their person, once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.domain.access import Permission, PersonKind, Principal, Role
from orchestrator.domain.model import Frozen
from orchestrator.store.tables import KeyRow

EXAMPLE: dict[str, Any] = {
    "id": "0123456789abcdef",
    "person": "ann",
    "roles": ["analyst", "approver"],
    "scopes": None,
    "networks": ["10.20.0.0/16"],
    "created_by": "person:admin",
    "created_at": "2026-01-01T12:00:00Z",
    "expires_at": "2026-04-01T12:00:00Z",
    "revoked_at": None,
    "enrolled_at": None,
    "enrolment_expires_at": "2026-01-04T12:00:00Z",
    "needs_confirmation": False,
    "confirmed_by": None,
}


class KeyView(Frozen):
    """A key, without its token."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    person: str
    roles: tuple[Role, ...]
    scopes: tuple[Permission, ...] | None
    networks: tuple[str, ...] | None = Field(
        description="The networks that the key is accepted from; null: any."
    )
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    enrolled_at: datetime | None = Field(
        description="When its person received it; null: it is not accepted yet."
    )
    enrolment_expires_at: datetime | None = Field(description="The end of the time for that.")
    needs_confirmation: bool = Field(
        description="Whether its person receives it only after a second admin confirmed it."
    )
    confirmed_by: str | None


class CreatedKey(KeyView):
    """A new key, with the code by which its person receives it. No one else sees its token."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **EXAMPLE,
                "enrolment_code": "mZ0mYx5v4m0q3nKb1m8v0f2rH8v2b9sJk4uT6wXyZ0A",
                "enrolment_url": "https://tocsin.corp.example/e/mZ0mYx5v4m0q3nKb1m8v0f2rH8v2b9sJk4uT6wXyZ0A",
            }
        }
    )

    enrolment_code: str | None = Field(
        description="Give it to the person; it works once. Null: it was sent to them by mail."
    )
    enrolment_url: str | None = Field(description="The page for it; null without `public_url`.")


class CallerIdentity(Frozen):
    """The person and the permissions that a key stands for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "key_id": "0123456789abcdef",
                "person": "ann",
                "kind": "person",
                "roles": ["viewer"],
                "groups": ["soc-leads"],
                "permissions": ["approval:read", "read"],
                "expires_at": None,
            }
        }
    )

    key_id: str
    person: str
    kind: PersonKind
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    permissions: tuple[Permission, ...]
    expires_at: datetime | None


def identity_of(principal: Principal, key: KeyView) -> CallerIdentity:
    """Return who a principal is, and until when its key is valid."""
    return CallerIdentity(
        key_id=principal.key_id,
        person=principal.person,
        kind=principal.kind,
        roles=principal.roles,
        groups=principal.groups,
        permissions=tuple(sorted(principal.permissions)),
        expires_at=key.expires_at,
    )


def view_of(row: KeyRow) -> KeyView:
    """Return a key as the API shows it."""
    return KeyView.model_validate(row.model_dump(include=set(KeyView.model_fields)))
