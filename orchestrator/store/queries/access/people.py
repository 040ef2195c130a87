"""Queries on people: their groups, their identities, and their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.access import FOUNDER, Membership, Permission, Principal, Role
from orchestrator.store.tables import IdentityRow, KeyRow, PersonRow


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """A person with their identities; the groups of both are theirs."""

    row: PersonRow
    identities: tuple[IdentityRow, ...]

    @property
    def memberships(self) -> dict[str, Membership]:
        """The groups, each with the membership that is oldest."""
        found = dict(self.row.memberships)
        for identity in self.identities:
            for name, each in identity.memberships.items():
                if name not in found or each.joined_at < found[name].joined_at:
                    found[name] = each
        return found

    def principal(
        self,
        keys: Sequence[KeyRow],
        scopes: Sequence[Permission] | None,
        not_before: datetime | None = None,
    ) -> Principal:
        """Return the principal of one key, or of several that are used together.

        `not_before`: when the way changed by which the person decides.
        """
        memberships = self.memberships
        ready = [each.usable_since for each in keys]
        oldest_key = None if None in ready else min(each for each in ready if each is not None)
        enabled = None if self.is_founder else self.row.enabled_at
        times = [each for each in (oldest_key, enabled, not_before) if each is not None]
        return Principal(
            key_id=keys[0].id,
            person=self.row.id,
            kind=self.row.kind,
            roles=tuple(sorted({Role(role) for key in keys for role in key.roles})),
            groups=tuple(sorted(memberships)),
            scopes=None if scopes is None else tuple(scopes),
            since=max(times, default=None),
            member_since={
                name: each.joined_at for name, each in memberships.items() if each.by != FOUNDER
            },
        )

    @property
    def is_founder(self) -> bool:
        """Whether the first start made the person, who was never disabled since."""
        return self.row.created_by == FOUNDER and self.row.enabled_at == self.row.created_at


async def load_people(
    session: AsyncSession, ids: Sequence[str] | None = None
) -> dict[str, PersonRecord]:
    """Return people by id; without `ids`, all of them."""
    people, identities = select(PersonRow), select(IdentityRow)
    if ids is not None:
        people = people.where(col(PersonRow.id).in_(ids))
        identities = identities.where(col(IdentityRow.person).in_(ids))
    rows = await session.scalars(people.order_by(col(PersonRow.id)))
    known = list(await session.scalars(identities.order_by(col(IdentityRow.issuer))))
    return {
        row.id: PersonRecord(row, tuple(each for each in known if each.person == row.id))
        for row in rows
    }


async def get_person(session: AsyncSession, id_: str, *, lock: bool = False) -> PersonRecord | None:
    """Return a person; with `lock`, no other transaction changes them until this one ends."""
    if lock:
        await session.scalar(select(PersonRow).where(col(PersonRow.id) == id_).with_for_update())
    return (await load_people(session, [id_])).get(id_)


async def list_live_keys(
    session: AsyncSession, persons: Sequence[str], now: datetime
) -> list[KeyRow]:
    """Return the keys of these people that are accepted, the oldest first."""
    wanted = select(KeyRow).where(
        col(KeyRow.person).in_(persons),
        col(KeyRow.revoked_at).is_(None),
        col(KeyRow.hash).is_not(None),
    )
    alive = or_(col(KeyRow.expires_at).is_(None), col(KeyRow.expires_at) > now)
    return list(
        await session.scalars(wanted.where(alive).order_by(col(KeyRow.created_at), col(KeyRow.id)))
    )


async def find_enrolment(
    session: AsyncSession, code_hash: str, *, lock: bool = False
) -> KeyRow | None:
    """Return the key that waits for its person behind a code."""
    wanted = select(KeyRow).where(col(KeyRow.enrolment_hash) == code_hash)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def list_keys_of(session: AsyncSession, person: str) -> list[KeyRow]:
    """Return all keys of a person."""
    wanted = select(KeyRow).where(col(KeyRow.person) == person).order_by(col(KeyRow.created_at))
    return list(await session.scalars(wanted))
