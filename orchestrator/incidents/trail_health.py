"""The health of the audit trail, as any process finds it: by its own anchor, and by open tasks."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit.continuity import check_end
from orchestrator.audit.state import Quarantine, TrailState, load_quarantine
from orchestrator.domain.errors import TocsinError
from orchestrator.domain.incident import TaskKind
from orchestrator.runtime import Runtime
from orchestrator.store.queries import tasks

BROKEN = "sealing"
"""The subject of the task of a trail that does not continue what was sealed."""
QUARANTINE = "quarantine"
"""The subject of the task of events that were written past Tocsin."""

_GUIDE = "docs/operating.md#a-broken-audit-trail"


def with_guide(reason: str) -> str:
    """Return what is wrong with the trail and where the guide to it is, once."""
    return reason if _GUIDE in reason else f"{reason}; see {_GUIDE}"


async def trail_health(rt: Runtime) -> TrailState:
    """Return whether the trail continues what this machine, and any worker, remembers of it.

    Quarantined events count until a person closes their task.
    """
    async with rt.store.snapshot() as session:
        broken = await _broken(rt, session)
        return TrailState(broken, await new_quarantine(session))


async def new_quarantine(session: AsyncSession) -> Quarantine:
    """Return what was quarantined since a person last closed the task of that."""
    closed = await tasks.newest_closed(session, TaskKind.AUDIT_TRAIL, QUARANTINE)
    return await load_quarantine(session, closed)


async def _broken(rt: Runtime, session: AsyncSession) -> str | None:
    try:
        await check_end(rt, session)
    except TocsinError as error:  # it does not continue, or a file of it cannot be read
        return str(error)
    found = await tasks.list_open(session, TaskKind.AUDIT_TRAIL, BROKEN)
    return found[0].summary if found else None
