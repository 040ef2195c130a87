"""API keys: created, listed, revoked, and authenticated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, SecretStr

from orchestrator.audit import trail
from orchestrator.crypto import tokens
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Forbidden, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import KeyFilter
from orchestrator.store.tables import KeyRow

EVERY_KEY = KeyFilter()
_PERSON = r"[^\W_][^\x00-\x1f\x7f]{0,99}"


_EXAMPLE: dict[str, Any] = {
    "id": "0123456789abcdef",
    "person": "ann",
    "roles": ["analyst", "approver"],
    "groups": ["soc-leads"],
    "scopes": None,
    "created_by": "person:admin",
    "created_at": "2026-01-01T12:00:00Z",
    "expires_at": None,
    "revoked_at": None,
}


class KeyView(Frozen):
    """A key, without its token."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str
    person: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    scopes: tuple[Permission, ...] | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedKey(KeyView):
    """A new key with its token, which is returned once and not stored."""

    model_config = ConfigDict(
        json_schema_extra={"example": {**_EXAMPLE, "token": "tocsin_0123456789abcdef_..."}}
    )

    token: str


class CallerIdentity(Frozen):
    """The person and the permissions that a key stands for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "key_id": "0123456789abcdef",
                "person": "ann",
                "roles": ["viewer"],
                "groups": ["soc-leads"],
                "permissions": ["approval:read", "read"],
                "expires_at": None,
            }
        }
    )

    key_id: str
    person: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    permissions: tuple[Permission, ...]
    expires_at: datetime | None


def identity_of(principal: Principal, key: KeyView) -> CallerIdentity:
    """Return who a principal is, and until when its key is valid."""
    return CallerIdentity(
        key_id=principal.key_id,
        person=principal.person,
        roles=principal.roles,
        groups=principal.groups,
        permissions=tuple(sorted(principal.permissions)),
        expires_at=key.expires_at,
    )


async def create_key(
    rt: Runtime,
    person: str,
    roles: Sequence[Role],
    groups: Sequence[str] = (),
    scopes: Sequence[Permission] | None = None,
    expires_in: timedelta | None = None,
    *,
    actor: str,
) -> tuple[KeyView, SecretStr]:
    """Create a key. Return it with its token, which is not stored. Raise Invalid."""
    if not roles:
        raise Invalid(f"a key needs at least one role: {', '.join(Role)}")
    if not re.fullmatch(_PERSON, person.strip()):
        raise Invalid("person: use 1 to 100 printable characters, such as a.smith")
    if expires_in is not None and expires_in <= timedelta(0):
        raise Invalid("expires_in: must be positive, such as 90 days")
    new, now = tokens.new_token(), rt.clock()
    row = KeyRow(
        id=new.id,
        hash=new.hash,
        person=person.strip(),
        roles=[role.value for role in roles],
        groups=list(groups),
        scopes=None if scopes is None else [scope.value for scope in scopes],
        created_by=actor,
        created_at=now,
        expires_at=now + expires_in if expires_in else None,
    )
    view = _view(row)
    async with rt.store.write() as session:
        await records.add(session, row)
        data = {"person": view.person, "roles": list(row.roles), "groups": list(row.groups)}
        await trail.record(
            session, EventKind.KEY_CREATED, actor=actor, subject=view.id, data=data, now=now
        )
    return view, new.token


async def list_keys(rt: Runtime, wanted: KeyFilter = EVERY_KEY) -> tuple[KeyView, ...]:
    """Return keys by id; without a filter, revoked and expired ones too."""
    async with rt.store.read() as session:
        return tuple(
            _view(row) for row in await configuration.list_keys(session, wanted, rt.clock())
        )


async def get_key(rt: Runtime, key_id: str) -> KeyView:
    """Return a key. Raise NotFound."""
    async with rt.store.read() as session:
        row = await records.get(session, KeyRow, key_id)
    if row is None:
        raise NotFound(f"key {key_id} does not exist; `tocsin key list` lists all")
    return _view(row)


async def revoke_key(
    rt: Runtime, key_id: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Revoke a key, effective immediately. Raise NotFound."""
    async with rt.store.write() as session:
        row = await records.get(session, KeyRow, key_id)
        if row is None:
            raise NotFound(f"key {key_id} does not exist")
        replaces.check(f"key {key_id}", _view(row))
        row.revoked_at = row.revoked_at or rt.clock()
        await trail.record(
            session, EventKind.KEY_REVOKED, actor=actor, subject=key_id, data={}, now=rt.clock()
        )


async def authenticate_key(rt: Runtime, token: str) -> Principal:
    """Return the person behind a token. Raise Forbidden without a reason."""
    key_id = tokens.token_id(token)
    async with rt.store.read() as session:
        row = await records.get(session, KeyRow, key_id) if key_id else None
    is_valid = tokens.is_token_valid(token, row.hash if row else tokens.UNKNOWN)
    now = rt.clock()
    if (
        row is None
        or not is_valid
        or row.revoked_at is not None
        or (row.expires_at is not None and row.expires_at <= now)
    ):
        raise Forbidden("the API key is not valid")
    view = _view(row)
    return Principal(
        key_id=view.id, person=view.person, roles=view.roles, groups=view.groups, scopes=view.scopes
    )


def _view(row: KeyRow) -> KeyView:
    return KeyView.model_validate(row.model_dump(exclude={"hash"}))
