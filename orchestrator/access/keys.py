"""API keys: make, list, revoke, and find out who is behind one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import SecretStr

from orchestrator.audit import trail
from orchestrator.crypto import tokens
from orchestrator.domain.access import Permission, Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Forbidden, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.queries import records
from orchestrator.store.tables import KeyRow

_PERSON = r"[^\W_][^\x00-\x1f\x7f]{0,99}"


class KeyView(Frozen):
    """A key without its token, which is shown once and not kept."""

    id: str
    person: str
    roles: tuple[Role, ...]
    groups: tuple[str, ...]
    scopes: tuple[Permission, ...] | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


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
    """The key, and its token for the one time that it is seen. Raises Invalid."""
    if not roles:
        raise Invalid(f"a key has at least one role: {', '.join(Role)}")
    if not re.fullmatch(_PERSON, person.strip()):
        raise Invalid("a key belongs to a person: 1 to 100 printable characters, such as a.smith")
    if expires_in is not None and expires_in <= timedelta(0):
        raise Invalid("a key expires after some time, such as 90 days, not before it is made")
    made, now = tokens.new_token(), rt.clock()
    row = KeyRow(
        id=made.id,
        hash=made.hash,
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
        told = {"person": view.person, "roles": list(row.roles), "groups": list(row.groups)}
        await trail.record(
            session, EventKind.KEY_CREATED, actor=actor, subject=view.id, data=told, now=now
        )
    return view, made.token


async def list_keys(rt: Runtime) -> tuple[KeyView, ...]:
    """All, revoked and expired ones too."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.every(session, KeyRow))


async def revoke_key(rt: Runtime, key_id: str, *, actor: str) -> None:
    """From now on it opens nothing. Raises NotFound."""
    async with rt.store.write() as session:
        row = await records.one(session, KeyRow, key_id)
        if row is None:
            raise NotFound(f"there is no key {key_id}")
        row.revoked_at = row.revoked_at or rt.clock()
        await trail.record(
            session, EventKind.KEY_REVOKED, actor=actor, subject=key_id, data={}, now=rt.clock()
        )


async def authenticate_key(rt: Runtime, token: str) -> Principal:
    """Who is behind the token. Raises Forbidden, which does not say why."""
    key_id = tokens.token_id(token)
    async with rt.store.read() as session:
        row = await records.one(session, KeyRow, key_id) if key_id else None
    fits = tokens.check(token, row.hash if row else tokens.UNKNOWN)
    now = rt.clock()
    if (
        row is None
        or not fits
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
