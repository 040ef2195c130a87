"""Queries on containments and leases; a containment's row lock serializes work on its target."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import (
    MAY_BE_IN_FORCE,
    ContainmentState,
    DriftState,
    LeaseEndReason,
    LeaseState,
)
from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    AlertRow,
    ConnectionRow,
    ContainmentRow,
    EffectRow,
    LeaseRow,
    RunRow,
)

_IS_LIVE = col(LeaseRow.state) == LeaseState.LIVE


def lease_id(run_id: str, path: str) -> str:
    """Return the id of a step's lease; a step has one."""
    return f"{run_id}/{path}"


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
    await session.execute(
        insert(session, ContainmentRow).values(row).on_conflict_do_nothing(index_elements=["key"])
    )
    found = await lock(session, row["key"])
    if found is None:
        raise RuntimeError(f"containment {row['key']} is gone; containments are never deleted")
    return found


async def get_lease(session: AsyncSession, id_: str) -> LeaseRow | None:
    """Return a lease as the database has it now."""
    return await session.get(LeaseRow, id_, populate_existing=True)


async def register_lease(session: AsyncSession, row: dict[str, Any]) -> None:
    """Insert a live lease; revive it where an earlier attempt ended it."""
    statement = insert(session, LeaseRow).values(row)
    fresh = {name: statement.excluded[name] for name in row if name != "id"}
    changed = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={**fresh, "until": None, "end_reason": None, "ended_by": None, "ended_at": None},
        where=col(LeaseRow.state) != LeaseState.LIVE,
    )
    await session.execute(changed)


async def end_lease(
    session: AsyncSession, id_: str, reason: LeaseEndReason, actor: str, now: datetime
) -> bool:
    """End a live lease. Return whether it was live."""
    ended = (
        update(LeaseRow)
        .where(col(LeaseRow.id) == id_, _IS_LIVE)
        .values(state=LeaseState.ENDED, end_reason=reason, ended_by=actor, ended_at=now)
    )
    return bool(getattr(await session.execute(ended), "rowcount", 0))


async def set_lease_end(
    session: AsyncSession, id_: str, until: datetime, released_by: str | None = None
) -> None:
    """Set when a live lease ends. `released_by`: the person who ends it; None: it expires."""
    reason = None if released_by is None else LeaseEndReason.RELEASED
    await session.execute(
        update(LeaseRow)
        .where(col(LeaseRow.id) == id_, _IS_LIVE)
        .values(until=until, end_reason=reason, ended_by=released_by)
    )


async def live_leases(session: AsyncSession, key: str) -> list[LeaseRow]:
    """Return the leases that hold a containment, oldest first."""
    wanted = select(LeaseRow).where(col(LeaseRow.containment_key) == key, _IS_LIVE)
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at), col(LeaseRow.id))))


async def count_live_leases(session: AsyncSession, key: str) -> int:
    """Count the leases that hold a containment."""
    wanted = (
        select(func.count())
        .select_from(LeaseRow)
        .where(col(LeaseRow.containment_key) == key, _IS_LIVE)
    )
    return await session.scalar(wanted) or 0


async def live_leases_of_run(session: AsyncSession, run_id: str) -> list[LeaseRow]:
    """Return the live leases of a run, newest first."""
    wanted = select(LeaseRow).where(col(LeaseRow.run_id) == run_id, _IS_LIVE)
    return list(await session.scalars(wanted.order_by(col(LeaseRow.created_at).desc())))


async def live_leases_of_incident(
    session: AsyncSession, key: str, incident_id: str
) -> list[LeaseRow]:
    """Return the live leases by which runs of an incident hold a containment."""
    runs = select(col(RunRow.id)).where(col(RunRow.incident_id) == incident_id)
    wanted = select(LeaseRow).where(
        col(LeaseRow.containment_key) == key, _IS_LIVE, col(LeaseRow.run_id).in_(runs)
    )
    return list(await session.scalars(wanted.execution_options(populate_existing=True)))


async def leases_of_run(session: AsyncSession, run_id: str) -> list[LeaseRow]:
    """Return all leases of a run."""
    return list(await session.scalars(select(LeaseRow).where(col(LeaseRow.run_id) == run_id)))


async def last_ended_lease(session: AsyncSession, key: str) -> LeaseRow | None:
    """Return the lease of a containment that ended last."""
    wanted = select(LeaseRow).where(
        col(LeaseRow.containment_key) == key, col(LeaseRow.state) == LeaseState.ENDED
    )
    return await session.scalar(wanted.order_by(col(LeaseRow.ended_at).desc()).limit(1))


async def leases_with_context(
    session: AsyncSession, keys: Sequence[str]
) -> list[tuple[LeaseRow, RunRow | None, str | None]]:
    """Return the leases of containments with their run and its alert's title, oldest first."""
    wanted = select(LeaseRow, RunRow, col(AlertRow.title)).where(
        col(LeaseRow.containment_key).in_(keys)
    )
    joined = wanted.outerjoin(RunRow, col(RunRow.id) == col(LeaseRow.run_id)).outerjoin(
        AlertRow, col(AlertRow.id) == col(RunRow.alert_id)
    )
    found = await session.execute(joined.order_by(col(LeaseRow.created_at), col(LeaseRow.id)))
    return [(lease, run, title) for lease, run, title in found]


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


async def postpone_look(session: AsyncSession, keys: Sequence[str], until: datetime) -> None:
    """Look at containments again at a moment. A stuck or reapplied one keeps its own moment."""
    attended = and_(
        col(ContainmentRow.state).in_([ContainmentState.HELD, ContainmentState.LIFTING]),
        col(ContainmentRow.drift).is_distinct_from(DriftState.REAPPLYING),
    )
    changed = update(ContainmentRow).where(col(ContainmentRow.key).in_(keys), attended)
    await session.execute(changed.values(retry_at=until))


Whole = tuple[ContainmentRow, EffectRow | None, ConnectionRow | None]
"""A containment with the effect that made it and its connection."""


async def list_page(
    session: AsyncSession,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    states: Sequence[ContainmentState] | None,
    lease_id: str | None = None,
) -> list[Whole]:
    """Return containments older than `after`, newest first. `states` None: all of them."""
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
    return await _newest_first(session, wanted.limit(limit))


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
