"""How do containments and their leases lie in the store? The containment's row serializes all that is done to its target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.queries.effects import IN_FORCE
from orchestrator.store.tables import (
    AlertRow,
    ConnectionRow,
    ContainmentRow,
    EffectRow,
    LeaseRow,
    RunRow,
)

BY_HAND = "released by "
"""How the reason of a lease begins that a person ends; the person's name follows."""


def lease_id(run_id: str, path: str) -> str:
    """One lease per step of a run."""
    return f"{run_id}/{path}"


async def lock(session: AsyncSession, key: str) -> ContainmentRow | None:
    """The containment, which nobody else changes until this transaction ends."""
    return await session.scalar(
        select(ContainmentRow).where(col(ContainmentRow.key) == key).with_for_update(),
        execution_options={"populate_existing": True},
    )


async def lock_or_make(session: AsyncSession, row: dict[str, Any]) -> ContainmentRow:
    """As `lock`, made where there is none."""
    await session.execute(
        insert(session, ContainmentRow).values(row).on_conflict_do_nothing(index_elements=["key"])
    )
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
        index_elements=["id"],
        set_={**fresh, "until": None, "reason": None, "ended_at": None},
        where=col(LeaseRow.state) != "live",
    )
    await session.execute(changed)


async def end_lease(session: AsyncSession, id_: str, reason: str, now: datetime) -> bool:
    """Ends a live lease. Whether it lived."""
    ended = (
        update(LeaseRow)
        .where(col(LeaseRow.id) == id_, col(LeaseRow.state) == "live")
        .values(state="ended", reason=reason, ended_at=now)
    )
    return bool(getattr(await session.execute(ended), "rowcount", 0))


async def set_until(
    session: AsyncSession, id_: str, until: datetime, reason: str | None = None
) -> None:
    """When a live lease ends, and why then (None: because its time is up)."""
    await session.execute(
        update(LeaseRow)
        .where(col(LeaseRow.id) == id_, col(LeaseRow.state) == "live")
        .values(until=until, reason=reason)
    )


async def live(session: AsyncSession, key: str) -> list[LeaseRow]:
    """The leases that hold a containment, oldest first."""
    wanted = select(LeaseRow).where(
        col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "live"
    )
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at), col(LeaseRow.id))))


async def live_count(session: AsyncSession, key: str) -> int:
    """How many leases hold a containment."""
    wanted = (
        select(func.count())
        .select_from(LeaseRow)
        .where(col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "live")
    )
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
    wanted = select(LeaseRow).where(
        col(LeaseRow.containment_key) == key, col(LeaseRow.state) == "ended"
    )
    return await session.scalar(wanted.order_by(col(LeaseRow.ended_at).desc()).limit(1))


async def overdue(session: AsyncSession, before: datetime, limit: int) -> list[str]:
    """Keys of containments with a live lease whose time was up before a moment."""
    wanted = select(col(LeaseRow.containment_key)).where(
        col(LeaseRow.state) == "live", col(LeaseRow.until) <= before
    )
    return list(await session.scalars(wanted.distinct().limit(limit)))


async def neglected(
    session: AsyncSession, now: datetime, abandoned: datetime, unchecked: datetime, limit: int
) -> list[str]:
    """Keys of containments that somebody should be at, and perhaps nobody is, those first that were seen to longest ago.

    Those that no lease held after `abandoned` and that are not lifted yet; held ones last seen on the device before `unchecked`; and
    stuck ones that are to be tried again by now. `retry_at` also says when to look again whether somebody is.
    """
    holds = or_(col(LeaseRow.state) == "live", col(LeaseRow.ended_at) > abandoned)
    held = (
        select(col(LeaseRow.id))
        .where(col(LeaseRow.containment_key) == col(ContainmentRow.key), holds)
        .exists()
    )
    seen = func.coalesce(col(ContainmentRow.verified_at), col(ContainmentRow.since))
    unwatched = and_(col(ContainmentRow.state) == "held", seen < unchecked)
    going_on = and_(col(ContainmentRow.state).in_(["held", "lifting"]), or_(~held, unwatched))
    due = or_(col(ContainmentRow.retry_at).is_(None), col(ContainmentRow.retry_at) <= now)
    wanted = select(col(ContainmentRow.key)).where(
        due, or_(going_on, col(ContainmentRow.state) == "stuck")
    )
    return list(
        await session.scalars(
            wanted.order_by(col(ContainmentRow.retry_at).asc().nulls_first()).limit(limit)
        )
    )


async def seen_to(session: AsyncSession, keys: Sequence[str], until: datetime) -> None:
    """Somebody is at these now; those that are not stuck are looked after again then. A stuck one's moment is its own."""
    going_on = and_(
        col(ContainmentRow.state).in_(["held", "lifting"]),
        col(ContainmentRow.drift).is_distinct_from("mending"),
    )
    at_work = update(ContainmentRow).where(col(ContainmentRow.key).in_(keys), going_on)
    await session.execute(at_work.values(retry_at=until))


async def page(
    session: AsyncSession,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    states: Sequence[str] | None,
    lease_id: str | None = None,
) -> list[tuple[ContainmentRow, EffectRow | None, ConnectionRow | None]]:
    """Containments with the effect that made them and their connection, newest first, older than `after`. None: for all."""
    wanted = _whole()
    if lease_id is not None:
        wanted = wanted.where(
            col(ContainmentRow.key).in_(
                select(col(LeaseRow.containment_key)).where(col(LeaseRow.id) == lease_id)
            )
        )
    if states is not None:
        wanted = wanted.where(col(ContainmentRow.state).in_(states))
    if after is not None:
        at, last = after
        older = (col(ContainmentRow.since) < at) | (
            (col(ContainmentRow.since) == at) & (col(ContainmentRow.key) < last)
        )
        wanted = wanted.where(older)
    found = wanted.order_by(col(ContainmentRow.since).desc(), col(ContainmentRow.key).desc()).limit(
        limit
    )
    return [(row, effect, connection) for row, effect, connection in await session.execute(found)]


async def whole(
    session: AsyncSession, keys: Sequence[str]
) -> list[tuple[ContainmentRow, EffectRow | None, ConnectionRow | None]]:
    """As `page`, by their keys."""
    found = (
        _whole()
        .where(col(ContainmentRow.key).in_(keys))
        .order_by(col(ContainmentRow.since).desc(), col(ContainmentRow.key).desc())
    )
    return [(row, effect, connection) for row, effect, connection in await session.execute(found)]


async def leases_of(
    session: AsyncSession, keys: Sequence[str]
) -> list[tuple[LeaseRow, RunRow | None, str | None]]:
    """All leases of these containments with their run and the title of its alert, oldest first."""
    wanted = select(LeaseRow, RunRow, col(AlertRow.title)).where(
        col(LeaseRow.containment_key).in_(keys)
    )
    joined = wanted.outerjoin(RunRow, col(RunRow.id) == col(LeaseRow.run_id)).outerjoin(
        AlertRow, col(AlertRow.id) == col(RunRow.alert_id)
    )
    found = await session.execute(joined.order_by(col(LeaseRow.created_at), col(LeaseRow.id)))
    return [(lease, run, title) for lease, run, title in found]


async def of_incident(session: AsyncSession, incident_id: str) -> list[str]:
    """Keys of containments that a run of the incident holds, or whose last lease was one of its and that are stuck."""
    runs = select(col(RunRow.id)).where(col(RunRow.incident_id) == incident_id)
    of_it = select(LeaseRow, ContainmentRow).join(
        ContainmentRow, col(ContainmentRow.key) == col(LeaseRow.containment_key)
    )
    holding = or_(col(LeaseRow.state) == "live", col(ContainmentRow.state) == "stuck")
    wanted = of_it.with_only_columns(col(ContainmentRow.key)).where(
        col(LeaseRow.run_id).in_(runs), holding
    )
    return sorted(await session.scalars(wanted.distinct()))


async def live_of_incident(session: AsyncSession, key: str, incident_id: str) -> list[LeaseRow]:
    """The live leases by which runs of an incident hold a containment."""
    runs = select(col(RunRow.id)).where(col(RunRow.incident_id) == incident_id)
    wanted = select(LeaseRow).where(
        col(LeaseRow.containment_key) == key,
        col(LeaseRow.state) == "live",
        col(LeaseRow.run_id).in_(runs),
    )
    return list(await session.scalars(wanted.execution_options(populate_existing=True)))


def _whole() -> Any:
    made = select(ContainmentRow, EffectRow, ConnectionRow).outerjoin(
        EffectRow, col(EffectRow.id) == col(ContainmentRow.effect_id)
    )
    return made.outerjoin(ConnectionRow, col(ConnectionRow.name) == col(ContainmentRow.connection))


async def effects_of(session: AsyncSession, key: str) -> list[EffectRow]:
    """All that is, or may be, in the world of a containment, newest first: what was partly there was made in more than one go."""
    wanted = select(EffectRow).where(
        col(EffectRow.containment_key) == key, col(EffectRow.state).in_(IN_FORCE)
    )
    return list(
        await session.scalars(
            wanted.order_by(col(EffectRow.intended_at).desc(), col(EffectRow.id).desc())
        )
    )


async def of_connection(
    session: AsyncSession, connection: str
) -> tuple[list[ContainmentRow], list[EffectRow]]:
    """What of ours is, or may be, in force on a system: the containments, and the effects."""
    held = select(ContainmentRow).where(
        col(ContainmentRow.connection) == connection, col(ContainmentRow.state) != "lifted"
    )
    made = select(EffectRow).where(
        col(EffectRow.connection) == connection, col(EffectRow.state).in_(IN_FORCE)
    )
    return list(await session.scalars(held.where(col(ContainmentRow.ours).is_(True)))), list(
        await session.scalars(made)
    )
