"""How do matters lie in the store? What needs a person is opened once, however often it is found, and is open until it is closed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.identifiers import new_id
from orchestrator.notices.outbox import tell_matter
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.tables import MatterRow

MAX_SUMMARY = 2000


async def open_matter(session: AsyncSession, *, kind: str, subject: str, summary: str, now: datetime, to_group: str | None = None) -> str:
    """The id of the open matter of that kind and subject, opened, audited and told to people where there is none."""
    await lock(session, Lock.MATTER, [f"{kind} {subject}"])
    if known := await _open(session, kind, subject):
        return known[0].id
    matter = MatterRow(
        id=new_id("matter"), kind=kind, subject=subject, summary=summary[:MAX_SUMMARY], to_group=to_group, state="open", opened_at=now
    )
    session.add(matter)
    await session.flush()
    told = {"kind": kind, "subject": subject, "summary": matter.summary, "to": to_group}
    await trail.record(session, EventKind.MATTER_OPENED, actor="system", subject=matter.id, data=told, now=now)
    await tell_matter(session, matter, now)
    return matter.id


async def close_matters(session: AsyncSession, kind: str, subject: str, by: str, comment: str, now: datetime) -> int:
    """Closes the open matter of that kind and subject, if there is one; how many. `by`: as the trail names an actor."""
    await lock(session, Lock.MATTER, [f"{kind} {subject}"])
    found = await _open(session, kind, subject)
    for matter in found:
        await close(session, matter, by, comment, now)
    return len(found)


async def close(session: AsyncSession, matter: MatterRow, by: str, comment: str, now: datetime) -> None:
    """Closes a matter that is open."""
    matter.state, matter.closed_at, matter.closed_by, matter.comment = "closed", now, by, comment
    told = {"kind": matter.kind, "subject": matter.subject, "comment": comment}
    await trail.record(session, EventKind.MATTER_CLOSED, actor=by, subject=matter.id, data=told, now=now)


async def get(session: AsyncSession, id_: str, *, locked: bool = False) -> MatterRow | None:
    """The matter."""
    wanted = select(MatterRow).where(col(MatterRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if locked else wanted)


async def page(
    session: AsyncSession, *, after: tuple[datetime, str] | None, limit: int, state: str | None, kind: str | None
) -> list[MatterRow]:
    """Matters, newest first, older than `after`."""
    wanted = select(MatterRow)
    if state is not None:
        wanted = wanted.where(col(MatterRow.state) == state)
    if kind is not None:
        wanted = wanted.where(col(MatterRow.kind) == kind)
    if after is not None:
        at, last = after
        wanted = wanted.where((col(MatterRow.opened_at) < at) | ((col(MatterRow.opened_at) == at) & (col(MatterRow.id) < last)))
    return list(await session.scalars(wanted.order_by(col(MatterRow.opened_at).desc(), col(MatterRow.id).desc()).limit(limit)))


async def _open(session: AsyncSession, kind: str, subject: str) -> list[MatterRow]:
    wanted = select(MatterRow).where(col(MatterRow.kind) == kind, col(MatterRow.subject) == subject, col(MatterRow.state) == "open")
    return list(await session.scalars(wanted))
