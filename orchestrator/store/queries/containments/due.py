"""What is due on containments: leases that are over, releases to try again, and drift checks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import ContainmentState, LeaseState
from orchestrator.store.tables import ContainmentRow, LeaseRow

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_IS_LIVE = col(LeaseRow.state) == LeaseState.LIVE
_IS_HELD = col(ContainmentRow.state) == ContainmentState.HELD
# Literals: a database uses a partial index only where it sees its condition.
IS_LIVE_INDEXED = col(LeaseRow.state) == literal_column(f"'{LeaseState.LIVE}'")
_IS_HELD_INDEXED = col(ContainmentRow.state) == literal_column(f"'{ContainmentState.HELD}'")
_HAS_LEASE = (
    select(col(LeaseRow.id))
    .where(col(LeaseRow.containment_key) == col(ContainmentRow.key), _IS_LIVE)
    .exists()
)


async def due_releases(
    session: AsyncSession,
    now: datetime,
    limit: int,
    *,
    but_connections: Collection[str] = (),
    but_keys: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return containments with something to release: key and connection, the longest due first.

    That is: a live lease on them is over, or no lease holds them and a release is to be tried.
    """
    others = (
        col(ContainmentRow.connection).notin_(but_connections),
        col(ContainmentRow.key).notin_(but_keys),
    )
    key, connection = col(ContainmentRow.key), col(ContainmentRow.connection)
    over = (
        select(key, connection, col(LeaseRow.until))
        .select_from(LeaseRow)
        .join(ContainmentRow, key == col(LeaseRow.containment_key))
        .where(IS_LIVE_INDEXED, col(LeaseRow.until) <= now, *others)
        .order_by(col(LeaseRow.until))
    )
    again = (
        select(key, connection, col(ContainmentRow.retry_at))
        .where(
            col(ContainmentRow.retry_at) <= now,
            col(ContainmentRow.state) != ContainmentState.LIFTED,
            ~_HAS_LEASE,
            *others,
        )
        .order_by(col(ContainmentRow.retry_at))
    )
    found = [row for wanted in (over, again) for row in await session.execute(wanted.limit(limit))]
    oldest = sorted(found, key=lambda row: row[2] or now)
    return list(dict.fromkeys((row[0], row[1]) for row in oldest))[:limit]


async def overdue_keys(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Return keys of containments with a live lease that was over before a moment."""
    return [key for key, _ in await due_releases(session, before, limit)]


async def retry_now(session: AsyncSession, now: datetime) -> None:
    """Try releases again that wait for a kill switch."""
    waiting = update(ContainmentRow).where(
        col(ContainmentRow.retry_at) > now,
        _IS_HELD,
        ~_HAS_LEASE,
    )
    await session.execute(waiting.values(retry_at=now))


async def due_checks(
    session: AsyncSession,
    before: datetime,
    limit: int,
    *,
    but_connections: Collection[str] = (),
    but_keys: Collection[str] = (),
) -> list[tuple[str, str]]:
    """Return held containments last read before a moment: key and connection, the oldest first."""
    wanted = select(col(ContainmentRow.key), col(ContainmentRow.connection)).where(
        _IS_HELD_INDEXED,
        col(ContainmentRow.checked_at) <= before,
        col(ContainmentRow.connection).notin_(but_connections),
        col(ContainmentRow.key).notin_(but_keys),
    )
    found = await session.execute(wanted.order_by(col(ContainmentRow.checked_at)).limit(limit))
    return [(key, connection) for key, connection in found]


async def claim_checks(
    session: AsyncSession, keys: Sequence[str], before: datetime, now: datetime
) -> list[str]:
    """Mark containments as read now, and return those that no other worker was faster with."""
    claimed = (
        update(ContainmentRow)
        .where(
            col(ContainmentRow.key).in_(keys), _IS_HELD, col(ContainmentRow.checked_at) <= before
        )
        .values(checked_at=now)
        .returning(col(ContainmentRow.key))
    )
    return list(await session.scalars(claimed, execution_options={"synchronize_session": False}))


async def forget_verifications(session: AsyncSession) -> int:
    """Have every containment in force read back, and return their number."""
    held = update(ContainmentRow).where(_IS_HELD)
    result = await session.execute(held.values(verified_at=None, checked_at=_LONG_AGO))
    return int(getattr(result, "rowcount", 0))
