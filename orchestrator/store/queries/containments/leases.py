"""Leases: registered, ended, and read with their context."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import (
    LeaseEndReason,
    LeaseState,
)
from orchestrator.store.search.conditions import leases_where
from orchestrator.store.search.filters import ContainmentFilter
from orchestrator.store.statements import containments as statements
from orchestrator.store.statements.statement import refresh_known
from orchestrator.store.tables import (
    AlertRow,
    LeaseRow,
    RunRow,
)

_IS_LIVE = col(LeaseRow.state) == LeaseState.LIVE


def lease_id(run_id: str, path: str) -> str:
    """Return the id of a step's lease; a step has one."""
    return f"{run_id}/{path}"


async def get_lease(session: AsyncSession, id_: str) -> LeaseRow | None:
    """Return a lease as the database has it now."""
    return await session.get(LeaseRow, id_, populate_existing=True)


async def register_lease(session: AsyncSession, row: dict[str, Any]) -> None:
    """Insert a live lease; revive it where an earlier attempt ended it."""
    await statements.register_lease(frozenset(row)).run(session, row)


async def end_lease(
    session: AsyncSession,
    id_: str,
    reason: LeaseEndReason,
    actor: str,
    now: datetime,
    *,
    restored_by: str | None = None,
) -> bool:
    """End a live lease. Return whether it was live. `restored_by`: the effect of a restore."""
    values = {
        "lease": id_,
        "new_end_reason": reason,
        "new_ended_by": actor,
        "new_ended_at": now,
        "new_restored_by": restored_by,
    }
    was_live = bool(await statements.END_LEASE.run(session, values))
    await refresh_known(session, LeaseRow, id_)
    return was_live


async def leases_ended_by_restore(session: AsyncSession, effect_id: str) -> list[LeaseRow]:
    """Return the leases that the effect of a restore ended."""
    wanted = select(LeaseRow).where(
        col(LeaseRow.restored_by) == effect_id, col(LeaseRow.state) == LeaseState.ENDED
    )
    return list(await session.scalars(wanted.order_by(col(LeaseRow.id))))


async def revive_lease(session: AsyncSession, id_: str) -> None:
    """Make a lease that a restore ended live again, with the end that it had."""
    again = {"state": LeaseState.LIVE, "end_reason": None, "ended_by": None, "ended_at": None}
    await session.execute(
        update(LeaseRow).where(col(LeaseRow.id) == id_).values(**again, restored_by=None)
    )


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


async def count_live_leases(session: AsyncSession, key: str, *, but: str = "") -> int:
    """Count the leases that hold a containment. `but`: one that does not count."""
    wanted = (
        select(func.count())
        .select_from(LeaseRow)
        .where(col(LeaseRow.containment_key) == key, _IS_LIVE, col(LeaseRow.id) != but)
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


async def live_leases_where(
    session: AsyncSession, key: str, wanted: ContainmentFilter
) -> list[LeaseRow]:
    """Return the live leases of a containment that fit what a filter says of runs."""
    found = select(LeaseRow).outerjoin(RunRow, col(RunRow.id) == col(LeaseRow.run_id))
    fitting = found.where(
        col(LeaseRow.containment_key) == key, _IS_LIVE, *leases_where(wanted)
    ).order_by(col(LeaseRow.created_at), col(LeaseRow.id))
    return list(await session.scalars(fitting.execution_options(populate_existing=True)))


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
