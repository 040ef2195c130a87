"""Contacts: how a person is reached, and what they may decide from there. Authority comes from their API keys alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import PERMISSIONS, Permission, Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.queries import notifications, records
from orchestrator.store.tables import ContactRow, KeyRow

_PERSON = r"[^\W_][^\x00-\x1f\x7f]{0,99}"
# One plain address: nothing that a mail program reads as a second one, a name, or a header.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
)
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{6,20}")


class ContactView(Frozen):
    """How a person is reached."""

    person: str
    email: str | None
    slack_user: str | None
    saved_at: datetime


class Reachable(Frozen):
    """Somebody who can be told, with what their keys let them do."""

    person: str
    email: str | None
    slack_user: str | None
    principal: Principal


async def save_contact(
    rt: Runtime, person: str, email: str | None, slack_user: str | None, *, actor: str
) -> ContactView:
    """Sets how a person is reached; links that went to them before open nothing any more. Raises Invalid, Conflict."""
    person = person.strip()
    _check(person, email, slack_user)
    now = rt.clock()
    row = ContactRow(person=person, email=email, slack_user=slack_user, saved_at=now)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["contacts"])
        others = (
            [each.person for each in await notifications.contacts_in_slack(session, slack_user)]
            if slack_user
            else []
        )
        if any(other != person for other in others):
            raise Conflict(
                f"Slack user {slack_user} is the contact of {others[0]} already; remove it there first"
            )
        await records.put(session, row)
        await notifications.end_links_of(session, person, now)
        told = {"email": email is not None, "slack": slack_user is not None}
        await trail.record(
            session, EventKind.CONTACT_SAVED, actor=actor, subject=person, data=told, now=now
        )
    return _view(row)


async def list_contacts(rt: Runtime) -> tuple[ContactView, ...]:
    """All of them."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await records.every(session, ContactRow))


async def remove_contact(rt: Runtime, person: str, *, actor: str) -> None:
    """From now on the person hears nothing, and links that went to them open nothing. Raises NotFound."""
    now = rt.clock()
    async with rt.store.write() as session:
        row = await records.one(session, ContactRow, person)
        if row is None:
            raise NotFound(f"there is no contact of {person!r}; `tocsin contact list` shows all")
        await records.remove(session, row)
        await notifications.end_links_of(session, person, now)
        await trail.record(
            session, EventKind.CONTACT_REMOVED, actor=actor, subject=person, data={}, now=now
        )


async def principal_of(session: AsyncSession, person: str, now: datetime) -> Principal | None:
    """Who a person is when they decide by a link or a button: what their live keys let them decide, and no more. None: nothing."""
    return _principal(
        await notifications.live_keys(session, [person], now), Permission.APPROVAL_DECIDE
    )


async def reachable(
    session: AsyncSession, permission: Permission, now: datetime
) -> list[Reachable]:
    """Everybody with a contact who holds the permission by a live key."""
    contacts = [row for row in await notifications.contacts(session) if row.email or row.slack_user]
    if not contacts:
        return []
    keys = await notifications.live_keys(session, [row.person for row in contacts], now)
    found = [
        (row, _principal([key for key in keys if key.person == row.person], permission))
        for row in contacts
    ]
    return [
        Reachable(
            person=row.person, email=row.email, slack_user=row.slack_user, principal=principal
        )
        for row, principal in found
        if principal is not None
    ]


def _principal(keys: Sequence[KeyRow], permission: Permission) -> Principal | None:
    """Groups count only of keys that hold the permission: two keys together give nothing that neither gives alone."""
    holding = [key for key in keys if permission in _permissions(key)]
    if not holding:
        return None
    return Principal(
        key_id=holding[0].id,
        person=holding[0].person,
        roles=tuple(sorted({Role(role) for key in holding for role in key.roles})),
        groups=tuple(sorted({group for key in holding for group in key.groups})),
        scopes=(permission,),
    )


def _permissions(key: KeyRow) -> frozenset[Permission]:
    allowed = frozenset().union(*(PERMISSIONS[Role(role)] for role in key.roles))
    return allowed if key.scopes is None else allowed & {Permission(scope) for scope in key.scopes}


def _check(person: str, email: str | None, slack_user: str | None) -> None:
    if not re.fullmatch(_PERSON, person):
        raise Invalid(
            "person: 1 to 100 printable characters, the name that the person's API keys carry"
        )
    if email is None and slack_user is None:
        raise Invalid("give an e-mail address, a Slack user, or both; to end a contact, remove it")
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise Invalid("email: give one plain address, such as ann@corp.example")
    if slack_user is not None and not _SLACK_USER.fullmatch(slack_user):
        raise Invalid(
            "slack_user: give the member id, such as U012AB3CD4; Slack shows it in the person's profile"
        )


def _view(row: ContactRow) -> ContactView:
    return ContactView.model_validate(row.model_dump())
