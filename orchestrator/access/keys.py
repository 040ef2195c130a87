"""API keys: asked for, confirmed, listed, revoked, and authenticated. They belong to people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.access.key_views import CreatedKey, KeyView, view_of
from orchestrator.access.people import load_person
from orchestrator.approvals.new_approvers import check_established
from orchestrator.audit import trail
from orchestrator.crypto import tokens
from orchestrator.domain.access import (
    NOT_FOR_SERVICES,
    Permission,
    PersonKind,
    Principal,
    Role,
    granted,
)
from orchestrator.domain.approval import one_person
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, Invalid, NotFound
from orchestrator.notifications import one_time_links, outbox
from orchestrator.policy.load_inputs import load_policy
from orchestrator.runtime import Runtime
from orchestrator.store import standing
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import records
from orchestrator.store.queries.access import people
from orchestrator.store.queries.access.people import PersonRecord
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import KeyFilter
from orchestrator.store.tables import ContactRow, KeyRow

EVERY_KEY = KeyFilter()

ENROLMENT = timedelta(days=3)
"""For how long a person can receive a new key."""


async def create_key(
    rt: Runtime,
    person: str,
    roles: Sequence[Role],
    scopes: Sequence[Permission] | None = None,
    networks: Sequence[str] | None = None,
    expires_in: timedelta | None = None,
    *,
    actor: str,
) -> CreatedKey:
    """Create a key that its person receives by a code, and tell them. Raise NotFound, Invalid.

    The code goes to the person by mail where that is possible; otherwise it is in the answer.
    """
    now = rt.clock()
    async with rt.store.write() as session:
        owner = await load_person(session, person, lock=True)
        row = _new_row(rt, owner, roles, scopes, networks, expires_in, actor, now)
        decides = Permission.APPROVAL_DECIDE in _permissions(owner, row)
        two = (await load_policy(session)).policy.approvals.two_admins
        row.needs_confirmation = decides and two
        contact = await records.get(session, ContactRow, owner.row.id)
        link = None if _can_mail(rt, contact) else one_time_links.new_link()
        row.enrolment_hash = link.hash if link else None
        row.enrolment_expires_at = min(now + ENROLMENT, row.expires_at or now + ENROLMENT)
        await records.add(session, row)
        await _record_created(session, row, actor, now)
        await outbox.notify_key(session, row, contact, now)
        view = view_of(row)
    code = link.token if link else None
    public = rt.settings.public_url
    return CreatedKey(
        **view.model_dump(),
        enrolment_code=code.get_secret_value() if code else None,
        enrolment_url=one_time_links.link_url(public, code, one_time_links.ENROLMENT_PATH)
        if public and code
        else None,
    )


async def mint_key(
    rt: Runtime,
    person: str,
    roles: Sequence[Role],
    scopes: Sequence[Permission] | None = None,
    networks: Sequence[str] | None = None,
    expires_in: timedelta | None = None,
    *,
    actor: str,
) -> tuple[KeyView, SecretStr]:
    """Create a key for the owner of this machine, who gets its token at once: the first start's.

    Without `expires_in` it does not expire. Raise NotFound, Invalid.
    """
    now, new = rt.clock(), tokens.new_token()
    async with rt.store.write() as session:
        owner = await load_person(session, person, lock=True)
        row = _new_row(rt, owner, roles, scopes, networks, expires_in, actor, now)
        row.id, row.hash, row.enrolled_at = new.id, new.hash, now
        row.expires_at = now + expires_in if expires_in else None
        await records.add(session, row)
        await _record_created(session, row, actor, now)
        return view_of(row), new.token


async def confirm_key(
    rt: Runtime, key_id: str, principal: Principal, replaces: Precondition = ANY_STATE
) -> KeyView:
    """Confirm a key as a second admin. Raise NotFound, Conflict, Forbidden (the first, owner)."""
    now = rt.clock()
    async with rt.store.write() as session:
        row = await _load(session, key_id)
        replaces.check(f"key {key_id}", view_of(row))
        if not row.needs_confirmation or row.confirmed_by is not None or row.revoked_at is not None:
            raise Conflict(f"key {key_id} does not wait for a confirmation")
        if one_person(principal.person) in {one_person(row.created_by), one_person(row.person)}:
            raise Forbidden(
                f"{principal.person} asked for this key or is to receive it; another admin confirms"
            )
        await check_established(session, principal, None, now)
        row.confirmed_by, row.confirmed_at = f"person:{principal.person}", now
        data = {"person": row.person, "created_by": row.created_by, "key": principal.key_id}
        await trail.record(
            session,
            EventKind.KEY_CONFIRMED,
            actor=row.confirmed_by,
            subject=key_id,
            data=data,
            now=now,
        )
        return view_of(row)


async def list_keys(rt: Runtime, wanted: KeyFilter = EVERY_KEY) -> tuple[KeyView, ...]:
    """Return keys by id; without a filter, revoked and expired ones too."""
    async with rt.store.read() as session:
        return tuple(
            view_of(row) for row in await configuration.list_keys(session, wanted, rt.clock())
        )


async def get_key(rt: Runtime, key_id: str) -> KeyView:
    """Return a key. Raise NotFound."""
    async with rt.store.read() as session:
        return view_of(await _load(session, key_id))


async def revoke_key(
    rt: Runtime, key_id: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Revoke a key, effective immediately. Raise NotFound."""
    async with rt.store.write() as session:
        row = await _load(session, key_id)
        replaces.check(f"key {key_id}", view_of(row))
        row.revoked_at = row.revoked_at or rt.clock()
        data = {"person": row.person}
        await trail.record(
            session, EventKind.KEY_REVOKED, actor=actor, subject=key_id, data=data, now=rt.clock()
        )


async def authenticate_key(rt: Runtime, token: str, address: str | None = None) -> Principal:
    """Return the person behind a token that came from an address. Raise Forbidden, no reason."""
    key_id = tokens.token_id(token)
    async with rt.store.read() as session:
        row = await records.get(session, KeyRow, key_id) if key_id else None
        owner = await people.get_person(session, row.person) if row else None
    stored = row.hash if row else None
    is_valid = tokens.is_token_valid(token, stored or tokens.UNKNOWN)
    if (
        row is None
        or owner is None
        or not is_valid
        or not row.is_live(rt.clock())
        or owner.row.disabled_at is not None
        or not is_within(row.networks, address)
        or not await _stands(rt, owner, row)
    ):
        raise Forbidden("the API key is not valid")
    scopes = None if row.scopes is None else tuple(Permission(each) for each in row.scopes)
    return owner.principal([row], scopes)


async def _stands(rt: Runtime, owner: PersonRecord, row: KeyRow) -> bool:
    async with rt.store.read() as session:
        return bool(await standing.standing_keys(session, owner.row, [row]))


def is_within(networks: Sequence[str] | None, address: str | None) -> bool:
    """Return whether an address is in one of the networks; None: any, even an unknown one."""
    if networks is None:
        return True
    try:
        given = ip_address((address or "").partition("%")[0])
    except ValueError:
        return False
    given = getattr(given, "ipv4_mapped", None) or given
    return any(given in ip_network(network) for network in networks)


async def _load(session: AsyncSession, key_id: str) -> KeyRow:
    row = await records.get(session, KeyRow, key_id)
    if row is None:
        raise NotFound(f"key {key_id} does not exist; `tocsin key list` lists all")
    return row


def _new_row(
    rt: Runtime,
    owner: PersonRecord,
    roles: Sequence[Role],
    scopes: Sequence[Permission] | None,
    networks: Sequence[str] | None,
    expires_in: timedelta | None,
    actor: str,
    now: datetime,
) -> KeyRow:
    if not roles:
        raise Invalid(f"a key needs at least one role: {', '.join(Role)}")
    if expires_in is not None and expires_in <= timedelta(0):
        raise Invalid("expires_in: must be positive, such as 90 days")
    if owner.row.disabled_at is not None:
        raise Conflict(f"{owner.row.id} is disabled; `tocsin person enable {owner.row.id}`")
    is_service = owner.row.kind is PersonKind.SERVICE
    if is_service and (Role.APPROVER in roles or NOT_FOR_SERVICES & set(scopes or ())):
        raise Invalid(f"{owner.row.id} is a service, and a service approves nothing")
    days = rt.settings.service_key_days if is_service else rt.settings.key_days
    return KeyRow(
        id=tokens.new_token().id,
        person=owner.row.id,
        roles=[role.value for role in roles],
        scopes=None if scopes is None else [scope.value for scope in scopes],
        networks=None if networks is None else _networks(networks),
        created_by=actor,
        created_at=now,
        expires_at=now + (expires_in or timedelta(days=days)),
    )


def _networks(given: Sequence[str]) -> list[str]:
    if not given:
        raise Invalid("networks: give at least one network, or leave it out")
    try:
        return [str(ip_network(each)) for each in given]
    except ValueError as error:
        raise Invalid(f"networks: {error}; write such as 10.20.0.0/16") from None


def _permissions(owner: PersonRecord, row: KeyRow) -> frozenset[Permission]:
    allowed = granted(row.roles, row.scopes)
    return allowed - NOT_FOR_SERVICES if owner.row.kind is PersonKind.SERVICE else allowed


def _can_mail(rt: Runtime, contact: ContactRow | None) -> bool:
    settings = rt.settings
    configured = settings.public_url and settings.smtp_url and settings.mail_from
    return bool(contact is not None and contact.email and configured)


async def _record_created(session: AsyncSession, row: KeyRow, actor: str, now: datetime) -> None:
    data = {
        "person": row.person,
        "roles": list(row.roles),
        "scopes": row.scopes,
        "networks": row.networks,
        "expires_at": row.expires_at,
        "needs_confirmation": row.needs_confirmation,
    }
    await trail.record(
        session, EventKind.KEY_CREATED, actor=actor, subject=row.id, data=data, now=now
    )
