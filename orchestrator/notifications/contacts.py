"""Contacts: how people are reached. What they may decide from there follows from their API keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import FOUNDER, Permission, Principal, person_id
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store import standing
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import notifications, records
from orchestrator.store.queries.access import people
from orchestrator.store.queries.access.people import PersonRecord
from orchestrator.store.search import configuration
from orchestrator.store.search.filters import ContactFilter
from orchestrator.store.tables import ContactRow, KeyRow

EVERY_CONTACT = ContactFilter()
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
    """Save how a person is reached; their links end. Raise NotFound, Invalid, Conflict."""
    person = _id(person)
    _check(email, slack_user)
    now = rt.clock()
    row = ContactRow(
        person=person, email=email, slack_user=slack_user, saved_at=now, saved_by=actor
    )
    async with rt.store.write() as session:
        await lock(session, Lock.CONFIGURATION, ["contacts"])
        if await people.get_person(session, person) is None:
            raise NotFound(
                f"{person!r} is not a known person; add them first: tocsin person add {person}"
            )
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
    person = _id(person)
    async with rt.store.read() as session:
        row = await records.get(session, ContactRow, person)
    if row is None:
        raise NotFound(f"{person!r} has no contact; `tocsin contact list` lists all")
    return _view(row)


async def remove_contact(
    rt: Runtime, person: str, *, actor: str, replaces: Precondition = ANY_STATE
) -> None:
    """Remove a contact, and end the person's unused links. Raise NotFound."""
    person = _id(person)
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

    It holds the permission to decide only. Its time begins when the contact was set, at the
    earliest: who changes where links go would decide by them. None: the person may not decide.
    """
    contact = await records.get(session, ContactRow, person)
    keys = await people.list_live_keys(session, [person], now)
    record = await people.get_person(session, person)
    if record is None:
        return None
    keys = await standing.standing_keys(session, record.row, keys)
    return _principal(record, keys, Permission.APPROVAL_DECIDE, contact)


async def list_reachable(
    session: AsyncSession, permission: Permission, now: datetime
) -> list[ReachablePerson]:
    """Return everyone with a contact and a live key that grants the permission."""
    contacts = [
        row for row in await notifications.list_contacts(session) if row.email or row.slack_user
    ]
    if not contacts:
        return []
    names = [row.person for row in contacts]
    known = await people.load_people(session, names)
    keys = await people.list_live_keys(session, names, now)
    found = [
        (
            row,
            _principal(
                known[row.person],
                [key for key in keys if key.person == row.person],
                permission,
                row,
            ),
        )
        for row in contacts
        if row.person in known
    ]
    return [
        ReachablePerson(
            person=row.person, email=row.email, slack_user=row.slack_user, principal=principal
        )
        for row, principal in found
        if principal is not None
    ]


def _principal(
    record: PersonRecord, keys: Sequence[KeyRow], permission: Permission, contact: ContactRow | None
) -> Principal | None:
    """Combine the keys that grant the permission."""
    holding = [key for key in keys if permission in key.permissions]
    if not holding or record.row.disabled_at is not None:
        return None
    changed = contact.saved_at if contact is not None and contact.saved_by != FOUNDER else None
    found = record.principal(holding, (permission,), changed)
    return found if found.has_permission(permission) else None


def _id(person: str) -> str:
    try:
        return person_id(person)
    except ValueError:
        raise NotFound(
            f"{person!r} is not a known person; `tocsin person list` lists all"
        ) from None


def _check(email: str | None, slack_user: str | None) -> None:
    if email is None and slack_user is None:
        raise Invalid("give email, slack_user, or both; to stop notifications, remove the contact")
    if email is not None and (len(email) > 254 or not _EMAIL.fullmatch(email)):
        raise Invalid("email: give one plain address, such as ann@corp.example")
    if slack_user is not None and not _SLACK_USER.fullmatch(slack_user):
        raise Invalid("slack_user: give the member id from the Slack profile, such as U012AB3CD4")


def _view(row: ContactRow) -> ContactView:
    return ContactView(**row.model_dump(exclude={"saved_at", "saved_by"}), updated_at=row.saved_at)
