"""Queries of audit sinks: their positions, and which worker delivers to each."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import AuditSinkRow


async def claim(
    session: AsyncSession, name: str, worker: str, now: datetime, until: datetime, start: str
) -> AuditSinkRow | None:
    """Return the position of a sink for this worker alone; None while another delivers.

    `start`: the digest before the first batch.
    """
    first = {"name": name, "batch": 0, "digest": start, "mac": ""}
    await session.execute(insert(session, AuditSinkRow).on_conflict_do_nothing(), [first])
    free = or_(
        col(AuditSinkRow.claimed_until).is_(None),
        col(AuditSinkRow.claimed_until) < now,
        col(AuditSinkRow.claimed_by) == worker,
    )
    values = {"claimed_by": worker, "claimed_until": until}
    taken = update(AuditSinkRow).where(col(AuditSinkRow.name) == name, free).values(**values)
    found = await session.scalars(taken.returning(AuditSinkRow))
    return found.one_or_none()


async def save(session: AsyncSession, row: AuditSinkRow) -> None:
    """Write the row of a sink that this worker has claimed."""
    await session.merge(row)
    await session.flush()


async def list_sinks(session: AsyncSession) -> list[AuditSinkRow]:
    """Return the sinks by name."""
    return list(await session.scalars(select(AuditSinkRow).order_by(col(AuditSinkRow.name))))
