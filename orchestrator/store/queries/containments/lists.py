"""Lists of containments, and what Tocsin has in force on a system."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import (
    MAY_BE_IN_FORCE,
    ContainmentState,
    LeaseState,
)
from orchestrator.store.search.conditions import containments_where, in_order
from orchestrator.store.search.filters import ContainmentFilter, Order
from orchestrator.store.tables import (
    ConnectionRow,
    ContainmentRow,
    EffectRow,
    LeaseRow,
    RunRow,
)

_IS_LIVE = col(LeaseRow.state) == LeaseState.LIVE


Whole = tuple[ContainmentRow, EffectRow | None, ConnectionRow | None]
"""A containment with the effect that made it and its connection."""


async def list_page(
    session: AsyncSession,
    wanted: ContainmentFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[Whole]:
    """Return the containments that follow `after`."""
    columns = (col(ContainmentRow.since), col(ContainmentRow.key))
    page = in_order(_whole().where(*containments_where(wanted)), *columns, after, limit, order)
    return [(row, effect, connection) for row, effect, connection in await session.execute(page)]


async def count(session: AsyncSession, wanted: ContainmentFilter) -> int:
    """Return how many containments a filter fits."""
    counted = select(func.count()).select_from(ContainmentRow).where(*containments_where(wanted))
    return int(await session.scalar(counted) or 0)


async def get_many(session: AsyncSession, keys: Sequence[str]) -> list[Whole]:
    """Return containments by their keys, newest first."""
    return await _newest_first(session, _whole().where(col(ContainmentRow.key).in_(keys)))


async def keys_of_incident(session: AsyncSession, incident_id: str) -> list[str]:
    """Return keys of containments that runs of an incident hold, or held and are stuck."""
    runs = select(col(RunRow.id)).where(col(RunRow.incident_id) == incident_id)
    of_it = select(LeaseRow, ContainmentRow).join(
        ContainmentRow, col(ContainmentRow.key) == col(LeaseRow.containment_key)
    )
    holding = or_(_IS_LIVE, col(ContainmentRow.state) == ContainmentState.STUCK)
    wanted = of_it.with_only_columns(col(ContainmentRow.key)).where(
        col(LeaseRow.run_id).in_(runs), holding
    )
    return sorted(await session.scalars(wanted.distinct()))


async def effects_in_force(session: AsyncSession, key: str) -> list[EffectRow]:
    """Return the effects of a containment that are, or may be, in the world, newest first.

    There are several where a target was contained in part and completed later.
    """
    wanted = select(EffectRow).where(
        col(EffectRow.containment_key) == key, col(EffectRow.state).in_(MAY_BE_IN_FORCE)
    )
    return list(
        await session.scalars(
            wanted.order_by(col(EffectRow.intended_at).desc(), col(EffectRow.id).desc())
        )
    )


async def keys_of_effect(session: AsyncSession, connection: str, effect_id: str) -> list[str]:
    """Return the keys of the containments that an effect makes or covers."""
    wanted = select(col(ContainmentRow.key)).where(
        col(ContainmentRow.connection) == connection, col(ContainmentRow.effect_id) == effect_id
    )
    return sorted(await session.scalars(wanted))


async def in_force_on_connection(
    session: AsyncSession, connection: str
) -> tuple[list[ContainmentRow], list[EffectRow]]:
    """Return what Tocsin has, or may have, in force on a system: containments and effects."""
    held = select(ContainmentRow).where(
        col(ContainmentRow.connection) == connection,
        col(ContainmentRow.state) != ContainmentState.LIFTED,
        col(ContainmentRow.ours).is_(True),
    )
    made = select(EffectRow).where(
        col(EffectRow.connection) == connection, col(EffectRow.state).in_(MAY_BE_IN_FORCE)
    )
    return list(await session.scalars(held)), list(await session.scalars(made))


def _whole() -> Any:
    made = select(ContainmentRow, EffectRow, ConnectionRow).outerjoin(
        EffectRow, col(EffectRow.id) == col(ContainmentRow.effect_id)
    )
    return made.outerjoin(ConnectionRow, col(ConnectionRow.name) == col(ContainmentRow.connection))


async def _newest_first(session: AsyncSession, wanted: Any) -> list[Whole]:
    ordered = wanted.order_by(col(ContainmentRow.since).desc(), col(ContainmentRow.key).desc())
    return [(row, effect, connection) for row, effect, connection in await session.execute(ordered)]
