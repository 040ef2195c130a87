"""Enrolment: a person receives a new key by a code that works once. The token is made then."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.access.key_views import EXAMPLE, KeyView, view_of
from orchestrator.access.keys import is_within
from orchestrator.audit import trail
from orchestrator.crypto import tokens
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Conflict, Forbidden, NotFound, TocsinError
from orchestrator.notifications.one_time_links import hash_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries.access import people
from orchestrator.store.tables import KeyRow

_GONE = "this code does not exist, was used, or was replaced by a later mail; ask for another key"


class EnrolledKey(KeyView):
    """A key with its token, which is returned once and not stored."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **EXAMPLE,
                "enrolled_at": "2026-01-01T12:05:00Z",
                "enrolment_expires_at": None,
                "token": "tocsin_0123456789abcdef_...",
            }
        }
    )

    token: str


async def look_up(rt: Runtime, code: str, address: str | None) -> KeyView:
    """Return the key that waits behind a code. Raise NotFound, Conflict, Forbidden."""
    async with rt.store.read() as session:
        row = await people.find_enrolment(session, hash_of(code))
        if row is None:
            raise NotFound(_GONE)
        refused = await _refusal(session, row, address, rt.clock())
        if refused is not None:
            raise refused
        return view_of(row)


async def enrol(rt: Runtime, code: str, address: str | None) -> EnrolledKey:
    """Make the key's token and return it, once. Raise NotFound, Conflict, Forbidden."""
    now = rt.clock()
    async with rt.store.read() as session:  # so that guessing takes no write lock
        if await people.find_enrolment(session, hash_of(code)) is None:
            raise NotFound(_GONE)
    async with rt.store.write() as session:
        row = await people.find_enrolment(session, hash_of(code), lock=True)
        if row is None:
            raise NotFound(_GONE)
        refused = await _refusal(session, row, address, now)
        actor, data = f"person:{row.person}", {"person": row.person, "from": address}
        if refused is None:
            token = tokens.new_token_of(row.id)
            row.hash, row.enrolled_at = token.hash, now
            row.enrolment_hash = row.enrolment_expires_at = None
            found = EnrolledKey(**view_of(row).model_dump(), token=token.token.get_secret_value())
            kind = EventKind.KEY_ENROLLED
        else:
            kind, data = EventKind.ENROLMENT_REFUSED, {**data, "reason": str(refused)}
        await trail.record(session, kind, actor=actor, subject=row.id, data=data, now=now)
    if refused is not None:
        raise refused
    return found


async def _refusal(
    session: AsyncSession, row: KeyRow, address: str | None, now: datetime
) -> TocsinError | None:
    owner = await people.get_person(session, row.person)
    if owner is None or owner.row.disabled_at is not None or row.revoked_at is not None:
        return Conflict("this key was revoked; ask for another one")
    if row.enrolment_expires_at is None or row.enrolment_expires_at <= now:
        return Conflict("the time to receive this key is over; ask for another one")
    if row.needs_confirmation and row.confirmed_by is None:
        return Conflict(
            f"a second admin has not confirmed this key yet (`tocsin key confirm {row.id}`); "
            "use the code again after that"
        )
    if not is_within(row.networks, address):
        return Forbidden(f"this key is not for {address}; receive it from one of its networks")
    return None
