"""Containments by key; the lock on a row serializes the work on its target."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.statements.containments import create_containment
from orchestrator.store.tables import (
    ContainmentRow,
)


async def get(session: AsyncSession, key: str) -> ContainmentRow | None:
    """Return a containment."""
    return await session.get(ContainmentRow, key)


async def lock(session: AsyncSession, key: str) -> ContainmentRow | None:
    """Return a containment, locked until the transaction ends."""
    return await session.scalar(
        select(ContainmentRow).where(col(ContainmentRow.key) == key).with_for_update(),
        execution_options={"populate_existing": True},
    )


async def lock_or_create(session: AsyncSession, row: dict[str, Any]) -> ContainmentRow:
    """Return a containment, created where it does not exist, locked until the transaction ends."""
    await create_containment(frozenset(row)).run(session, row)
    found = await lock(session, row["key"])
    if found is None:
        raise RuntimeError(f"containment {row['key']} is gone; containments are never deleted")
    return found
