"""What the audit trail, which stays, says of what was archived."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind, StoredEvent
from orchestrator.store.audit_events import select_events
from orchestrator.store.tables import AuditEventRow


async def events_about(session: AsyncSession, subject: str, kind: EventKind) -> list[StoredEvent]:
    """Return the first events of a kind about a subject that a process with the keys wrote."""
    wanted = (col(AuditEventRow.subject) == subject, col(AuditEventRow.kind) == kind.value)
    return await select_events(session, *wanted, limit=10)
