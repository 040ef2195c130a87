"""People and services: added, changed, disabled. Keys, contacts and identities belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.access import Membership, PersonKind, person_id
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.precondition import ANY_STATE, Precondition
from orchestrator.store.queries import notifications, records
from orchestrator.store.queries.access import people
from orchestrator.store.queries.access.people import PersonRecord
from orchestrator.store.tables import ContactRow, IdentityRow, PersonRow

_EXAMPLE: dict[str, Any] = {
    "id": "ann",
    "name": "Ann Smith",
    "kind": "person",
    "groups": {"soc-leads": {"joined_at": "2026-01-01T12:00:00Z", "by": "person:admin"}},
    "identities": [{"issuer": "https://login.corp.example", "subject": "00u1a2b3"}],
    "email": "ann@corp.example",
    "slack_user": None,
    "created_by": "person:admin",
    "created_at": "2026-01-01T12:00:00Z",
    "enabled_at": "2026-01-01T12:00:00Z",
    "disabled_at": None,
}


class ProviderIdentity(Frozen):
    """A person as an identity provider names them."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE["identities"][0]})

    issuer: str = Field(min_length=1, max_length=500)
    subject: str = Field(min_length=1, max_length=255)


class PersonView(Frozen):
    """A person or a service."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str = Field(description="What keys, approvals and the audit trail name: `person:ann`.")
    name: str
    kind: PersonKind
    groups: dict[str, Membership]
    identities: tuple[ProviderIdentity, ...]
    email: str | None
    slack_user: str | None
    created_by: str
    created_at: datetime
    enabled_at: datetime = Field(description="When the person was added, or enabled again.")
    disabled_at: datetime | None


async def add_person(
    rt: Runtime,
    name: str,
    *,
    full_name: str = "",
    kind: PersonKind = PersonKind.PERSON,
    groups: Sequence[str] = (),
    identities: Sequence[ProviderIdentity] = (),
    actor: str,
) -> PersonView:
    """Add a person. Raise Invalid (no name, a service with groups), Conflict (there is one)."""
    id_, now = _id(name), rt.clock()
    row = PersonRow(
        id=id_,
        name=_full_name(full_name or name),
        kind=kind,
        groups=_memberships({}, groups, actor, now),
        created_by=actor,
        created_at=now,
        enabled_at=now,
    )
    if kind is PersonKind.SERVICE and (groups or identities):
        raise Invalid("groups, identities: a service has none, as it decides nothing")
    try:
        async with rt.store.write() as session:
            await records.add(session, row)
            await _set_identities(session, row.id, (), identities, now)
            data = {"name": row.name, "kind": kind, "groups": sorted(row.groups)}
            await trail.record(
                session, EventKind.PERSON_ADDED, actor=actor, subject=id_, data=data, now=now
            )
    except IntegrityError:
        raise Conflict(
            f"{id_} exists, or an identity belongs to another person; `tocsin person list`"
        ) from None
    return await get_person(rt, id_)


async def list_people(rt: Runtime) -> tuple[PersonView, ...]:
    """Return all people, disabled ones too."""
    async with rt.store.read() as session:
        found = await people.load_people(session)
        contacts = {row.person: row for row in await records.list_all(session, ContactRow)}
    return tuple(_view(each, contacts.get(id_)) for id_, each in found.items())


async def get_person(rt: Runtime, name: str) -> PersonView:
    """Return a person. Raise NotFound."""
    async with rt.store.read() as session:
        return await _load_view(session, await load_person(session, name))


async def load_person(session: AsyncSession, name: str, *, lock: bool = False) -> PersonRecord:
    """Return a person in any spelling of their id. Raise NotFound."""
    try:
        found = await people.get_person(session, person_id(name), lock=lock)
    except ValueError:
        found = None
    if found is None:
        raise NotFound(
            f"{name!r} is not a known person; add them first: tocsin person add {name!r}"
        )
    return found


async def change_person(
    rt: Runtime,
    name: str,
    *,
    full_name: str | None = None,
    groups: Sequence[str] | None = None,
    identities: Sequence[ProviderIdentity] | None = None,
    disabled: bool | None = None,
    actor: str,
    replaces: Precondition = ANY_STATE,
) -> PersonView:
    """Change what is given; a group or identity that stays keeps its date. Raise NotFound, Invalid.

    A disabled person's keys, links and buttons decide nothing, effective immediately. One who is
    enabled again counts as new.
    """
    now = rt.clock()
    try:
        async with rt.store.write() as session:
            record = await load_person(session, name, lock=True)
            row = record.row
            replaces.check(f"person {row.id}", await _load_view(session, record))
            if row.kind is PersonKind.SERVICE and (groups or identities):
                raise Invalid("groups, identities: a service has none, as it decides nothing")
            if (
                groups is None
                and identities is None
                and full_name is None
                and disabled is (row.disabled_at is not None)
            ):
                return await _load_view(session, record)
            before = {"groups": sorted(row.groups), "disabled": row.disabled_at is not None}
            if full_name is not None:
                row.name = _full_name(full_name)
            if groups is not None:
                row.groups = _memberships(row.groups, groups, actor, now)
            if identities is not None:
                await _set_identities(session, row.id, record.identities, identities, now)
            await _set_disabled(session, row, now, disabled=disabled)
            after = {"groups": sorted(row.groups), "disabled": row.disabled_at is not None}
            data: dict[str, Any] = {"name": row.name, "before": before, "after": after}
            if identities is not None:
                data["identities"] = [each.model_dump() for each in identities]
            await trail.record(
                session, EventKind.PERSON_CHANGED, actor=actor, subject=row.id, data=data, now=now
            )
    except IntegrityError:
        raise Conflict("identities: one of them belongs to another person") from None
    return await get_person(rt, name)


async def record_claims(
    rt: Runtime, identity: ProviderIdentity, groups: Iterable[str]
) -> PersonView:
    """Make the groups of an identity those that its provider claims now. Raise NotFound.

    A group that stays keeps its date, so that signing in again does not make a person new.
    """
    now, by = rt.clock(), f"issuer:{identity.issuer}"
    async with rt.store.write() as session:
        key = (identity.issuer, identity.subject)
        row = await records.get(session, IdentityRow, key)
        if row is None:
            raise NotFound(f"no person has the identity {identity.subject} of {identity.issuer}")
        given = _memberships(row.groups, tuple(groups), by, now)
        if given != row.groups:
            data = {"identity": identity.model_dump(), "groups": sorted(given)}
            row.groups = given
            await trail.record(
                session, EventKind.PERSON_CHANGED, actor=by, subject=row.person, data=data, now=now
            )
    return await get_person(rt, row.person)


def _id(name: str) -> str:
    try:
        return person_id(name)
    except ValueError as error:
        raise Invalid(f"id: {error}") from None


def _full_name(name: str) -> str:
    given = " ".join(name.split())
    if not given.isprintable() or not 1 <= len(given) <= 100:
        raise Invalid("name: use 1 to 100 printable characters, such as Ann Smith")
    return given


def _memberships(
    known: Mapping[str, Any], groups: Sequence[str], actor: str, now: datetime
) -> dict[str, Any]:
    """Return the groups as they are stored: those that stay with their date."""
    if any(not group.strip() or not group.isprintable() for group in groups):
        raise Invalid("groups: a name has 1 to 64 printable characters, such as soc-leads")
    new = Membership(joined_at=now, by=actor).model_dump(mode="json")
    return {group: known.get(group, new) for group in sorted({each.strip() for each in groups})}


async def _set_identities(
    session: AsyncSession,
    person: str,
    known: Sequence[IdentityRow],
    wanted: Sequence[ProviderIdentity],
    now: datetime,
) -> None:
    keep = {(each.issuer, each.subject) for each in wanted}
    have = {(each.issuer, each.subject): each for each in known}
    for key, row in have.items():
        if key not in keep:
            await records.remove(session, row)
    for issuer, subject in sorted(keep - have.keys()):
        row = IdentityRow(issuer=issuer, subject=subject, person=person, groups={}, added_at=now)
        await records.add(session, row)


async def _set_disabled(
    session: AsyncSession, row: PersonRow, now: datetime, *, disabled: bool | None
) -> None:
    if disabled is True and row.disabled_at is None:
        row.disabled_at = now
        await notifications.end_links(session, row.id, now)
    if disabled is False and row.disabled_at is not None:
        row.disabled_at, row.enabled_at = None, now


async def _load_view(session: AsyncSession, record: PersonRecord) -> PersonView:
    return _view(record, await records.get(session, ContactRow, record.row.id))


def _view(record: PersonRecord, contact: ContactRow | None) -> PersonView:
    row = record.row
    return PersonView(
        **row.model_dump(exclude={"groups"}),
        groups=record.memberships,
        identities=tuple(
            ProviderIdentity(issuer=each.issuer, subject=each.subject) for each in record.identities
        ),
        email=contact.email if contact else None,
        slack_user=contact.slack_user if contact else None,
    )
