"""Containments that need attention: overdue, unattended, or to be looked at later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import (
    ContainmentState,
    DriftState,
    LeaseState,
)
from orchestrator.store.tables import (
    ContainmentRow,
    LeaseRow,
)

_IS_LIVE = col(LeaseRow.state) == LeaseState.LIVE


async def overdue_keys(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Return keys of containments with a live lease that expired before a moment."""
    wanted = select(col(LeaseRow.containment_key)).where(_IS_LIVE, col(LeaseRow.until) <= before)
    return list(await session.scalars(wanted.distinct().limit(limit)))


async def unattended_keys(
    session: AsyncSession, now: datetime, abandoned: datetime, unchecked: datetime, limit: int
) -> list[str]:
    """Return keys of containments whose workflow may be gone, the longest unattended first.

    That is: no lease held them after `abandoned` and they are not lifted; they are held and were
    last verified before `unchecked`; or they are stuck and due to be tried again. `retry_at`
    postpones the next look, see `postpone_look`.
    """
    holds = or_(_IS_LIVE, col(LeaseRow.ended_at) > abandoned)
    has_lease = (
        select(col(LeaseRow.id))
        .where(col(LeaseRow.containment_key) == col(ContainmentRow.key), holds)
        .exists()
    )
    last_look = func.coalesce(col(ContainmentRow.verified_at), col(ContainmentRow.since))
    unwatched = and_(col(ContainmentRow.state) == ContainmentState.HELD, last_look < unchecked)
    neglected = and_(
        col(ContainmentRow.state).in_([ContainmentState.HELD, ContainmentState.LIFTING]),
        or_(~has_lease, unwatched),
    )
    due = or_(col(ContainmentRow.retry_at).is_(None), col(ContainmentRow.retry_at) <= now)
    wanted = select(col(ContainmentRow.key)).where(
        due, or_(neglected, col(ContainmentRow.state) == ContainmentState.STUCK)
    )
    return list(
        await session.scalars(
            wanted.order_by(col(ContainmentRow.retry_at).asc().nulls_first()).limit(limit)
        )
    )


async def forget_verifications(session: AsyncSession) -> int:
    """Have every containment in force read back, and return their number."""
    held = update(ContainmentRow).where(col(ContainmentRow.state) == ContainmentState.HELD)
    result = await session.execute(held.values(verified_at=None))
    return int(getattr(result, "rowcount", 0))


async def postpone_look(session: AsyncSession, keys: Sequence[str], until: datetime) -> None:
    """Look at containments again at a moment. A stuck or reapplied one keeps its own moment."""
    attended = and_(
        col(ContainmentRow.state).in_([ContainmentState.HELD, ContainmentState.LIFTING]),
        col(ContainmentRow.drift).is_distinct_from(DriftState.REAPPLYING),
    )
    changed = update(ContainmentRow).where(col(ContainmentRow.key).in_(keys), attended)
    await session.execute(changed.values(retry_at=until))
