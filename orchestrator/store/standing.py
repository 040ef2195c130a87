"""What stands: rows that the audit trail has, and that no later event ended.

Who writes to the database can delete a row, or put back an older copy with its tag. What permits
more by that is compared with the trail, which that person cannot write: a policy, a kill switch, a
revoked key, a disabled person and the groups of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.store.audit_events import select_events
from orchestrator.store.authentic import VERIFIED, RowRefused, refuse, refuse_missing
from orchestrator.store.statements import sealed
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import AuditEventRow, KeyRow, KillSwitchRow, PersonRow, PolicyRow

_STOPS = (
    EventKind.POLICY_PUBLISHED,
    EventKind.KILL_SWITCH_ENGAGED,
    EventKind.KILL_SWITCH_LIFTED,
)
_OF_PEOPLE = (EventKind.PERSON_ADDED, EventKind.PERSON_CHANGED, EventKind.KEY_REVOKED)
_STATE = Statement(
    "read what stops changes",
    lambda _: select(func.count(), func.max(col(AuditEventRow.number))).where(
        or_(*(col(AuditEventRow.kind) == kind.value for kind in _STOPS))
    ),
)
_TRIES = 3
"""A kill switch may be lifted between two statements; not each time."""

Switch = tuple[str, str, bool]
"""Scope, name, and whether it stops releases."""


@dataclass(frozen=True, slots=True)
class Stops:
    """What stops changes, by the audit trail."""

    policy: int = 0
    """The version of the newest policy; 0: none was published."""
    switches: frozenset[Switch] = frozenset()


async def load_stops(session: AsyncSession) -> Stops:
    """Return what stops changes. It is read again only when the trail has more events of it."""
    (state,) = await _STATE.raw_rows(session, {})
    known: dict[Any, tuple[Any, Stops]] = session.info[VERIFIED]
    if Stops not in known or known[Stops][0] != state:
        # One kind at a time: their index has each in the order of writing.
        events = [
            event
            for kind in _STOPS
            for event in await select_events(session, col(AuditEventRow.kind) == kind)
        ]
        events.sort(key=lambda event: event.number)
        known[Stops] = (state, _stops([event.record for event in events]))
    return known[Stops][1]


async def newest_policy(session: AsyncSession) -> PolicyRow | None:
    """Return the policy in force. Raise RowRefused where the trail has a newer one."""
    found = await sealed.newest_policy(session)
    needed = (await load_stops(session)).policy
    if _version(found) < needed:
        found = await sealed.newest_policy(session)  # it was published between the two
        if _version(found) < needed:
            refuse_missing(f"{PolicyRow.__tablename__} {needed}", session.sync_session)
    return found


async def kill_switches(session: AsyncSession) -> list[KillSwitchRow]:
    """Return the engaged kill switches. Raise RowRefused where the trail has another one."""
    for tried in range(1, _TRIES + 1):
        found = await sealed.kill_switches(session)
        engaged = (await load_stops(session)).switches
        missing = sorted(engaged - {(row.scope, row.name, row.stop_releases) for row in found})
        if missing and tried == _TRIES:
            scope, name, _ = missing[0]
            refuse_missing(f"{KillSwitchRow.__tablename__} {scope}/{name}", session.sync_session)
        if not missing:
            break
    return found


async def is_engaged(session: AsyncSession, scope: str, name: str) -> bool:
    """Return whether the trail has a kill switch as engaged, whatever became of its row."""
    return any(each[:2] == (scope, name) for each in (await load_stops(session)).switches)


async def standing_keys(
    session: AsyncSession, person: PersonRow, keys: Sequence[KeyRow]
) -> list[KeyRow]:
    """Return those of a person's keys that were not revoked; none if the person is another one now.

    A row that is older than the trail is refused, and reported.
    """
    events = await select_events(
        session,
        col(AuditEventRow.subject).in_([person.id, *(key.id for key in keys)]),
        col(AuditEventRow.kind).in_(_OF_PEOPLE),
    )
    last: Mapping[str, Any] = {}
    revoked = set()
    for event in events:
        record = event.record
        if record["kind"] == EventKind.KEY_REVOKED:
            revoked.add(record["subject"])
        elif record["kind"] == EventKind.PERSON_ADDED:
            last = {"groups": record["data"]["groups"], "disabled": False}
        else:  # the claims of an identity provider change no row of a person
            last = record["data"].get("after", last)
    if last and not _is_same(person, last):
        fresh = await session.execute(
            select(col(PersonRow.groups), col(PersonRow.disabled_at)).where(
                col(PersonRow.id) == person.id
            )
        )
        if _is_same(fresh.first(), last):  # it was changed between the two
            return []
        refuse(person, session.sync_session)
        return []
    for key in keys:
        if key.id in revoked and not await _is_marked(session, key):
            refuse(key, session.sync_session)
    return [key for key in keys if key.id not in revoked]


async def check_all(session: AsyncSession) -> None:
    """Note every row that does not stand, for `list_refused`."""
    with suppress(RowRefused):
        await newest_policy(session)
    with suppress(RowRefused):
        await kill_switches(session)
    keys = list(await session.scalars(select(KeyRow)))
    for person in await session.scalars(select(PersonRow)):
        owned = [key for key in keys if key.person == person.id]
        await standing_keys(session, person, owned)


def _stops(records: Sequence[Mapping[str, Any]]) -> Stops:
    policy, switches = 0, dict[str, Switch]()
    for record in records:
        subject, data = record["subject"], record["data"]
        match record["kind"]:
            case EventKind.POLICY_PUBLISHED:
                policy = max(policy, data["version"])
            case EventKind.KILL_SWITCH_ENGAGED:
                switches[subject] = (data["scope"], data["name"], data["stop_releases"])
            case _:
                switches.pop(subject, None)
    return Stops(policy, frozenset(switches.values()))


def _version(row: PolicyRow | None) -> int:
    return row.version if row is not None else 0


def _is_same(person: Any, event: Mapping[str, Any]) -> bool:
    """Return whether a person, or the columns of one, is as an event says."""
    return person is None or (
        sorted(person.groups) == event["groups"]
        and (person.disabled_at is not None) == event["disabled"]
    )


async def _is_marked(session: AsyncSession, key: KeyRow) -> bool:
    """Return whether a key was revoked since it was read."""
    marked = select(col(KeyRow.revoked_at)).where(col(KeyRow.id) == key.id)
    return await session.scalar(marked) is not None
