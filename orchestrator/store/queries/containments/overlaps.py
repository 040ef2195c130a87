"""Overlaps: containments of one connection that cover the same, wholly or in part."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.change import Effect
from orchestrator.domain.containment import (
    MAY_BE_IN_FORCE,
    ContainmentState,
    EffectState,
    LeaseState,
)
from orchestrator.domain.observable import Extent
from orchestrator.store.dialect import Lock, lock
from orchestrator.store.tables import ConnectionRow, ContainmentRow, EffectRow, LeaseRow


async def lock_connection(session: AsyncSession, connection: str) -> None:
    """Serialize, until the transaction ends, what is decided about a connection's containments."""
    await lock(session, Lock.CONNECTION, [connection])


async def count_releases(session: AsyncSession, connection: str) -> int:
    """Return how many releases a connection has seen."""
    counted = select(col(ConnectionRow.releases)).where(col(ConnectionRow.name) == connection)
    return await session.scalar(counted) or 0


async def note_release(session: AsyncSession, connection: str) -> None:
    """Count the end of a release, so that a plan that was read before it is read again."""
    await session.execute(
        update(ConnectionRow)
        .where(col(ConnectionRow.name) == connection)
        .values(releases=ConnectionRow.releases + 1)
    )


async def held_within(
    session: AsyncSession, connection: str, extent: Extent
) -> list[ContainmentRow]:
    """Return the containments that overlap an extent and are held by live leases, by key."""
    is_held = (
        select(col(LeaseRow.id))
        .where(
            col(LeaseRow.containment_key) == col(ContainmentRow.key),
            col(LeaseRow.state) == LeaseState.LIVE,
        )
        .exists()
    )
    wanted = _overlapping(connection, extent).where(is_held)
    return await _exactly(session, wanted, extent)


async def in_force_within(
    session: AsyncSession, connection: str, extent: Extent
) -> list[ContainmentRow]:
    """Return the containments that overlap an extent and are not lifted, by key."""
    is_in_force = col(ContainmentRow.state) != ContainmentState.LIFTED
    return await _exactly(session, _overlapping(connection, extent).where(is_in_force), extent)


async def being_lifted_within(
    session: AsyncSession, connection: str, extent: Extent, now: datetime
) -> list[ContainmentRow]:
    """Return the containments that overlap an extent and are being lifted or restored, by key."""
    is_lifting = or_(
        col(ContainmentRow.state) == ContainmentState.LIFTING,
        col(ContainmentRow.lifting_until) > now,
    )
    wanted = _overlapping(connection, extent).where(is_lifting)
    return await _exactly(session, wanted, extent)


async def containing_effects(
    session: AsyncSession, connection: str, extent: Extent
) -> list[EffectRow]:
    """Return the effects that contain a part of an extent, or may, newest first."""
    wanted = select(EffectRow).where(
        col(EffectRow.connection) == connection,
        col(EffectRow.effect) == Effect.CONTAIN,
        col(EffectRow.state).in_(MAY_BE_IN_FORCE),
        col(EffectRow.extent_first) <= extent.last,
        col(EffectRow.extent_last) >= extent.first,
    )
    rows = await session.scalars(
        wanted.order_by(col(EffectRow.intended_at).desc(), col(EffectRow.id).desc())
    )
    return [row for row in rows if row.extent.overlaps(extent)]


async def mark_effects_in_force(session: AsyncSession, ids: Sequence[str]) -> None:
    """Mark effects as applied again, as the restore that undid them was itself undone."""
    again = update(EffectRow).where(
        col(EffectRow.id).in_(ids), col(EffectRow.state) == EffectState.UNDONE
    )
    await session.execute(again.values(state=EffectState.APPLIED, undone_by=None))


async def effects_undone_by(session: AsyncSession, restore: str) -> list[EffectRow]:
    """Return the effects that the effect of a restore undid, newest first."""
    wanted = select(EffectRow).where(col(EffectRow.undone_by) == restore)
    return list(
        await session.scalars(
            wanted.order_by(col(EffectRow.intended_at).desc(), col(EffectRow.id).desc())
        )
    )


async def lock_all(session: AsyncSession, keys: Sequence[str]) -> list[ContainmentRow]:
    """Return containments by key, locked in that order until the transaction ends."""
    wanted = select(ContainmentRow).where(col(ContainmentRow.key).in_(keys))
    ordered = wanted.order_by(col(ContainmentRow.key)).with_for_update()
    return list(await session.scalars(ordered, execution_options={"populate_existing": True}))


def _overlapping(connection: str, extent: Extent) -> Select[ContainmentRow]:
    return (
        select(ContainmentRow)
        .where(
            col(ContainmentRow.connection) == connection,
            col(ContainmentRow.extent_first) <= extent.last,
            col(ContainmentRow.extent_last) >= extent.first,
        )
        .order_by(col(ContainmentRow.key))
    )


async def _exactly(
    session: AsyncSession, wanted: Select[ContainmentRow], extent: Extent
) -> list[ContainmentRow]:
    """Return the rows that overlap: the database compares the keys of different kinds too."""
    found = await session.scalars(wanted, execution_options={"populate_existing": True})
    return [row for row in found if row.extent.overlaps(extent)]
