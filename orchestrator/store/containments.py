"""How do containments and their leases lie in the store? The containment's row serializes all that is done to its target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import ContainmentRow, LeaseRow


def lease_id(run_id: str, path: str) -> str:
    """One lease per step of a run."""
    return f"{run_id}/{path}"


async def lock(session: AsyncSession, key: str) -> ContainmentRow | None:
    """The containment, which nobody else changes until this transaction ends."""
    return await session.scalar(
        select(ContainmentRow).where(col(ContainmentRow.key) == key).with_for_update(), execution_options={"populate_existing": True}
    )


async def lock_or_make(session: AsyncSession, row: dict[str, Any]) -> ContainmentRow:
    """As `lock`, made where there is none."""
    await session.execute(insert(session, ContainmentRow).values(row).on_conflict_do_nothing(index_elements=["key"]))
    found = await lock(session, row["key"])
    if found is None:
        raise RuntimeError(f"containment {row['key']} is gone; containments are never deleted")
    return found


async def get(session: AsyncSession, key: str) -> ContainmentRow | None:
    """The containment."""
    return await session.get(ContainmentRow, key)


async def lease(session: AsyncSession, id_: str) -> LeaseRow | None:
    """The lease, as it is in the store now."""
    return await session.get(LeaseRow, id_, populate_existing=True)


async def register(session: AsyncSession, row: dict[str, Any]) -> None:
    """A live lease; one that an earlier attempt ended lives again."""
    statement = insert(session, LeaseRow).values(row)
    fresh = {name: statement.excluded[name] for name in row if name != "id"}
    changed = statement.on_conflict_do_update(
        index_elements=["id"], set_={**fresh, "until": None, "reason": None, "ended_at": None}, where=col(LeaseRow.state) != "live"
    )
    await session.execute(changed)


async def end_lease(session: AsyncSession, id_: str, reason: str, now: datetime) -> bool:
    """Ends a live lease. Whether it lived."""
    ended = (
        update(LeaseRow).where(col(LeaseRow.id) == id_, col(LeaseRow.state) == "live").values(state="ended", reason=reason, ended_at=now)
    )
    return bool(getattr(await session.execute(ended), "rowcount", 0))


async def set_until(session: AsyncSession, id_: str, until: datetime, reason: str | None = None) -> None:
    """When a live lease ends, and (where that is known) why."""
    values: dict[str, Any] = {"until": until} if reason is None else {"until": until, "reason": reason}
    await session.execute(update(LeaseRow).where(col(LeaseRow.id) == id_, col(LeaseRow.state) == "live").values(**values))


async def live(session: AsyncSession, key: str) -> list[LeaseRow]:
    """The leases that hold a containment, oldest first."""
    wanted = select(LeaseRow).where(col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "live")
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at), col(LeaseRow.id))))


async def live_count(session: AsyncSession, key: str) -> int:
    """How many leases hold a containment."""
    wanted = select(func.count()).select_from(LeaseRow).where(col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "live")
    return await session.scalar(wanted) or 0


async def live_of_run(session: AsyncSession, run_id: str) -> list[LeaseRow]:
    """A run's live leases, newest first."""
    wanted = select(LeaseRow).where(col(LeaseRow.run_id) == run_id, col(LeaseRow.state) == "live")
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at).desc())))


async def of_run(session: AsyncSession, run_id: str) -> list[LeaseRow]:
    """All of a run's leases."""
    return list(await session.scalars(select(LeaseRow).where(col(LeaseRow.run_id) == run_id)))


async def last_ended(session: AsyncSession, key: str) -> LeaseRow | None:
    """The lease that ended last."""
    wanted = select(LeaseRow).where(col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "ended")
    return await session.scalar(wanted.order_by(col(LeaseRow.ended_at).desc()).limit(1))


async def overdue(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Keys of containments with a live lease whose time was up before a moment."""
    wanted = select(col(LeaseRow.containment_key)).where(col(LeaseRow.state) == "live", col(LeaseRow.until) <= before)
    return list(await session.scalars(wanted.distinct().limit(limit)))


async def orphans(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Keys of containments that are ours and in force though no lease held them after a moment: a crash came between."""
    holds = or_(col(LeaseRow.state) == "live", col(LeaseRow.ended_at) > before)
    held = select(col(LeaseRow.id)).where(col(LeaseRow.containment_key) == col(ContainmentRow.key), holds).exists()
    ours = select(col(ContainmentRow.key)).where(col(ContainmentRow.state).in_(["held", "lifting"]), col(ContainmentRow.ours).is_(True))
    return list(await session.scalars(ours.where(~held).limit(limit)))


async def page(session: AsyncSession, *, after: tuple[datetime, str] | None, limit: int, state: str | None) -> list[ContainmentRow]:
    """Containments, newest first, older than `after`."""
    wanted = select(ContainmentRow)
    if state is not None:
        wanted = wanted.where(col(ContainmentRow.state) == state)
    if after is not None:
        at, last = after
        older = (col(ContainmentRow.since) < at) | ((col(ContainmentRow.since) == at) & (col(ContainmentRow.key) < last))
        wanted = wanted.where(older)
    return list(await session.scalars(wanted.order_by(col(ContainmentRow.since).desc(), col(ContainmentRow.key).desc()).limit(limit)))


async def leases_of(session: AsyncSession, keys: Sequence[str]) -> list[LeaseRow]:
    """All leases of these containments, oldest first."""
    wanted = select(LeaseRow).where(col(LeaseRow.containment_key).in_(keys))
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at), col(LeaseRow.id))))
