"""What needs a person? Matters, listed and closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Conflict, Invalid, NotFound
from orchestrator.notifications.outbox import tell_matter
from orchestrator.runtime import Runtime
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import tasks
from orchestrator.store.tables import MatterRow

MAX_COMMENT = 2000
MAX_SUMMARY = 2000


async def list_matters(
    rt: Runtime, *, state: str | None = "open", kind: str | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """Matters, newest first. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await tasks.page(session, after=after(cursor), limit=bounded(limit), state=state, kind=kind)
    return page([_view(row) for row in rows], limit, (rows[-1].opened_at, rows[-1].id) if rows else None)


async def get_matter(rt: Runtime, matter_id: str) -> dict[str, Any]:
    """One matter. Raises NotFound."""
    async with rt.store.read() as session:
        row = await tasks.get(session, matter_id)
    if row is None:
        raise NotFound(f"there is no matter {matter_id}; `tocsin matter list` lists them")
    return _view(row)


async def close_matter(rt: Runtime, matter_id: str, *, comment: str, actor: str) -> dict[str, Any]:
    """Closes a matter; what it is about stays as it is, and opens another if it is found again. Raises NotFound, Conflict, Invalid."""
    if not comment.strip() or len(comment) > MAX_COMMENT:
        raise Invalid(f"comment: say what was done, in 1 to {MAX_COMMENT} characters")
    async with rt.store.write() as session:
        row = await tasks.get(session, matter_id, locked=True)
        if row is None:
            raise NotFound(f"there is no matter {matter_id}; `tocsin matter list` lists them")
        if row.state != "open":
            raise Conflict(f"matter {matter_id} was closed by {row.closed_by}")
        if row.kind == "break_glass":
            raise Conflict(f"a broken glass is closed by its review: `tocsin approval review {row.subject}`")
        await close(session, row, actor, comment, rt.clock())
    return _view(row)


async def open_matter(session: AsyncSession, *, kind: str, subject: str, summary: str, now: datetime, to_group: str | None = None) -> str:
    """The id of the open matter of that kind and subject, opened, audited and told to people where there is none."""
    await lock(session, Lock.MATTER, [f"{kind} {subject}"])
    if known := await tasks.open_of(session, kind, subject):
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
    found = await tasks.open_of(session, kind, subject)
    for matter in found:
        await close(session, matter, by, comment, now)
    return len(found)


async def close(session: AsyncSession, matter: MatterRow, by: str, comment: str, now: datetime) -> None:
    """Closes a matter that is open."""
    matter.state, matter.closed_at, matter.closed_by, matter.comment = "closed", now, by, comment
    told = {"kind": matter.kind, "subject": matter.subject, "comment": comment}
    await trail.record(session, EventKind.MATTER_CLOSED, actor=by, subject=matter.id, data=told, now=now)


def _view(row: MatterRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "subject": row.subject,
        "summary": row.summary,
        "to_group": row.to_group,
        "state": row.state,
        "opened_at": said(row.opened_at),
        "closed_at": said(row.closed_at),
        "closed_by": row.closed_by,
        "comment": row.comment,
    }
