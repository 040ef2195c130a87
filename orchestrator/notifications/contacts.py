"""Contacts: how people are reached. What they may decide from there follows from their API keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import PERMISSIONS, Permission, Principal, Role
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import notifications, records
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import ContactFilter
from orchestrator.store.tables import ContactRow, KeyRow

EVERY_CONTACT = ContactFilter()
_PERSON = r"[^\W_][^\x00-\x1f\x7f]{0,99}"
# One plain address: nothing that a mail program could read as a second one, a name, or a header.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
)
_SLACK_USER = re.compile(r"[UW][A-Z0-9]{6,20}")


class ContactView(Frozen):
    """How a person is reached."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "person": "ann",
                "email": "ann@corp.example",
                "slack_user": "U012AB3CD4",
                "updated_at": "2026-01-01T12:00:00Z",
            }
        }
    )

    person: str
    email: str | None
    slack_user: str | None
    updated_at: datetime


class ReachablePerson(Frozen):
    """A person with a contact and the permission that was asked for."""

    person: str
    email: str | None
    slack_user: str | None
    principal: Principal


async def save_contact(
    rt: Runtime,
    person: str,
    email: str | None,
    slack_user: str | None,
    *,
    actor: str,
    replaces: Precondition = ANY_STATE,
) -> ContactView:
    """Save how a person is reached, and end their unused links. Raise Invalid, Conflict."""
    person = person.strip()
    _check(person, email, slack_user)
    now = rt.clock()
    row = ContactRow(person=person, email=email, slack_user=slack_user, saved_at=now)
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["contacts"])
        before = await records.get(session, ContactRow, person)
        replaces.check(f"contact {person}", _view(before) if before else None)
        known = await notifications.find_by_slack_user(session, slack_user) if slack_user else []
        if others := [each.person for each in known if each.person != person]:
            raise Conflict(
                f"slack_user: {slack_user} is already the contact of {others[0]}; remove it there"
                " first"
            )
        await records.upsert(session, row)
        await notifications.end_links(session, person, now)
        details = {"email": email is not None, "slack": slack_user is not None}
        await trail.record(
            session, EventKind.CONTACT_SAVED, actor=actor, subject=person, data=details, now=now
        )
    return _view(row)


async def list_contacts(
    rt: Runtime, wanted: ContactFilter = EVERY_CONTACT
) -> tuple[ContactView, ...]:
    """Return contacts by person."""
    async with rt.store.read() as session:
        return tuple(_view(row) for row in await configuration.list_contacts(session, wanted))


async def get_contact(rt: Runtime, person: str) -> ContactView:
    """Return a person's contact. Raise NotFound."""
    async with rt.store.read() as session:
        row = await records.get(session, ContactRow, person)
    if row is None:
        raise NotFound(f"{person!r} has no contact; `tocsin contact list` lists all")
    return _view(row)


async def remove_contact(
    rt: Runtime, person: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Remove a contact, and end the person's unused links. Raise NotFound."""
    now = rt.clock()
    async with rt.store.write() as session:
        row = await records.get(session, ContactRow, person)
        if row is None:
            raise NotFound(f"{person!r} has no contact; `tocsin contact list` lists all")
        replaces.check(f"contact {person}", _view(row))
        await records.remove(session, row)
        await notifications.end_links(session, person, now)
        await trail.record(
            session, EventKind.CONTACT_REMOVED, actor=actor, subject=person, data={}, now=now
        )


async def decision_principal(session: AsyncSession, person: str, now: datetime) -> Principal | None:
    """Return the principal that decides by a person's link or button.

    It holds the permission to decide only, with the groups of the keys that grant it. None: the
    person has no such key.
    """
    keys = await notifications.list_live_keys(session, [person], now)
    return _principal(keys, Permission.APPROVAL_DECIDE)


async def list_reachable(
    session: AsyncSession, permission: Permission, now: datetime
) -> list[ReachablePerson]:
    """Return everyone with a contact and a live key that grants the permission."""
    contacts = [
        row for row in await notifications.list_contacts(session) if row.email or row.slack_user
    ]
    if not contacts:
        return []
    keys = await notifications.list_live_keys(session, [row.person for row in contacts], now)
    found = [
        (row, _principal([key for key in keys if key.person == row.person], permission))
        for row in contacts
    ]
    return [
        ReachablePerson(
            person=row.person, email=row.email, slack_user=row.slack_user, principal=principal
        )
        for row, principal in found
        if principal is not None
    ]


def _principal(keys: Sequence[KeyRow], permission: Permission) -> Principal | None:
    """Combine the keys that grant the permission; groups of other keys do not count."""
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
        raise Invalid("person: 1 to 100 printable characters, the name on the person's API keys")
    if email is None and slack_user is None:
        raise Invalid("give email, slack_user, or both; to stop notifications, remove the contact")
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise Invalid("email: give one plain address, such as ann@corp.example")
    if slack_user is not None and not _SLACK_USER.fullmatch(slack_user):
        raise Invalid("slack_user: give the member id from the Slack profile, such as U012AB3CD4")


def _view(row: ContactRow) -> ContactView:
    return ContactView(**row.model_dump(exclude={"saved_at"}), updated_at=row.saved_at)
