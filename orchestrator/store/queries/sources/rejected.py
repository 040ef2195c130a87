"""Queries on rejected deliveries. Lists leave out the bodies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from orchestrator.domain.alert import RejectionState
from orchestrator.store.dialect import insert
from orchestrator.store.search.conditions import in_order, rejected_where
from orchestrator.store.search.filters import Order, RejectedFilter
from orchestrator.store.tables import RejectedRow

_AGAIN = ("reason", "status", "detail", "items", "body", "bytes", "content_type", "last_seen_at")


class Stored(NamedTuple):
    """The size of one rejected delivery, for the bounds of its source."""

    id: str
    bytes: int


async def keep(session: AsyncSession, row: RejectedRow) -> str:
    """Insert a delivery, or count it again where its body is known. Return its id."""
    statement = insert(session, RejectedRow)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in _AGAIN}
    changed |= {
        "content_encoding": statement.excluded.content_encoding,
        "state": RejectionState.KEPT,
        "tried_at": None,
        "seen": RejectedRow.__table__.c.seen + 1,  # type: ignore[attr-defined]
    }
    statement = statement.on_conflict_do_update(
        index_elements=["source", "body_sha256"], set_=changed
    )
    done = await session.execute(statement.returning(RejectedRow.__table__.c.id), row.model_dump())  # type: ignore[attr-defined]
    return str(done.scalar_one())


async def sizes(session: AsyncSession, source: str) -> list[Stored]:
    """Return the deliveries of a source: kept ones before replayed ones, each newest first."""
    replayed = col(RejectedRow.state) == RejectionState.REPLAYED
    rows = await session.execute(
        select(col(RejectedRow.id), func.coalesce(func.length(col(RejectedRow.body)), 0))
        .where(col(RejectedRow.source) == source)
        .order_by(replayed, col(RejectedRow.last_seen_at).desc(), col(RejectedRow.id).desc())
    )
    return [Stored(row[0], int(row[1])) for row in rows]


async def remove(session: AsyncSession, ids: Sequence[str]) -> None:
    """Delete deliveries."""
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        await session.execute(delete(RejectedRow).where(col(RejectedRow.id).in_(part)))


async def count_before(session: AsyncSession, moment: datetime) -> int:
    """Return how many deliveries were last seen before a moment."""
    wanted = select(func.count()).select_from(RejectedRow)
    return int(await session.scalar(wanted.where(col(RejectedRow.last_seen_at) < moment)) or 0)


async def forget(session: AsyncSession, before: datetime) -> None:
    """Delete the deliveries that were last seen before a moment."""
    await session.execute(delete(RejectedRow).where(col(RejectedRow.last_seen_at) < before))


async def get(
    session: AsyncSession, source: str, id_: str, *, locked: bool = False
) -> RejectedRow | None:
    """Return a delivery of a source with its body, locked until the transaction ends if asked."""
    wanted = select(RejectedRow).where(
        col(RejectedRow.id) == id_, col(RejectedRow.source) == source
    )
    return await session.scalar(wanted.with_for_update() if locked else wanted)


async def list_page(
    session: AsyncSession,
    source: str,
    wanted: RejectedFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order,
) -> list[RejectedRow]:
    """Return the deliveries of a source that follow `after`, without their bodies."""
    found = (
        select(RejectedRow)
        .options(defer(RejectedRow.body, raiseload=True))  # type: ignore[arg-type]
        .where(col(RejectedRow.source) == source, *rejected_where(wanted))
    )
    moment, id_ = col(RejectedRow.received_at), col(RejectedRow.id)
    return list(await session.scalars(in_order(found, moment, id_, after, limit, order)))


async def kept_ids(session: AsyncSession, source: str, after: str | None, limit: int) -> list[str]:
    """Return the ids of kept deliveries that have a body, oldest first, after an id."""
    wanted = select(col(RejectedRow.id)).where(
        col(RejectedRow.source) == source,
        col(RejectedRow.state) == RejectionState.KEPT,
        col(RejectedRow.body).is_not(None),
    )
    if after is not None:
        wanted = wanted.where(col(RejectedRow.id) > after)
    return list(await session.scalars(wanted.order_by(col(RejectedRow.id)).limit(limit)))


async def count_kept(session: AsyncSession) -> dict[str, int]:
    """Return by source how many deliveries are kept."""
    rows = await session.execute(
        select(col(RejectedRow.source), func.count())
        .where(col(RejectedRow.state) == RejectionState.KEPT)
        .group_by(col(RejectedRow.source))
    )
    return {row[0]: int(row[1]) for row in rows}


async def set_outcome(session: AsyncSession, id_: str, **values: Any) -> None:
    """Record what a replay of a delivery came to."""
    await session.execute(update(RejectedRow).where(col(RejectedRow.id) == id_).values(**values))
