"""How do matters lie in the store? What needs a person is opened once, however often it is found, and is open until it is closed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.tables import MatterRow


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


async def open_of(session: AsyncSession, kind: str, subject: str) -> list[MatterRow]:
    wanted = select(MatterRow).where(col(MatterRow.kind) == kind, col(MatterRow.subject) == subject, col(MatterRow.state) == "open")
    return list(await session.scalars(wanted))
