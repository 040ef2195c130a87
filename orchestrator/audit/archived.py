"""What is said of a record that was archived: its events are all that the database has of it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.store.queries.retention.events import events_about


async def missing_record(session: AsyncSession, noun: str, id_: str, kind: EventKind) -> NotFound:
    """Return why there is no such record: it was archived where an event of this kind names it."""
    if await events_about(session, id_, kind):
        return NotFound(
            f"{noun} {id_} is not in the database any more, as it was archived "
            f"(`tocsin retention`); `tocsin audit list --subject {id_}` lists what happened"
        )
    return NotFound(f"{noun} {id_} does not exist")
