"""How do intents lie in the store, and what became of them? Written before a vendor is called; counted by the limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, distinct, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import EffectRow

IN_FORCE = ("intended", "applied", "verified")
"""States in which the change is, or may be, in the world."""


def effect_id(run_id: str, path: str, attempt: int) -> str:
    """One effect per step and attempt: a call that is carried out again after a crash finds its intent."""
    return f"{run_id}/{path}/{attempt}"


async def get(session: AsyncSession, id_: str) -> EffectRow | None:
    """The effect of that id."""
    return await session.get(EffectRow, id_)


async def intend(session: AsyncSession, row: dict[str, Any]) -> None:
    """Writes an intent; over an earlier one of the same step and attempt whose outcome is not known."""
    statement = insert(session, EffectRow).values(row)
    fresh = {name: statement.excluded[name] for name in row if name != "id"}
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_={**fresh, "output": None, "ended_at": None}))


async def end(session: AsyncSession, id_: str, state: str, now: datetime, output: dict[str, Any] | None = None) -> None:
    """Says what became of an effect."""
    values: dict[str, Any] = {"state": state, "ended_at": now}
    if output is not None:
        values["output"] = output
    await session.execute(update(EffectRow).where(col(EffectRow.id) == id_).values(**values))


async def end_shared(session: AsyncSession, containment_key: str, now: datetime) -> None:
    """A containment was lifted: none of its effects is in the world any more."""
    gone = update(EffectRow).where(col(EffectRow.containment_key) == containment_key, col(EffectRow.state).in_(IN_FORCE))
    await session.execute(gone.values(state="undone", ended_at=now))


async def verified(session: AsyncSession, id_: str) -> None:
    """The device says that it is in force."""
    found = update(EffectRow).where(col(EffectRow.id) == id_, col(EffectRow.state).in_(IN_FORCE))
    await session.execute(found.values(state="verified"))


async def newest_in_force(session: AsyncSession, run_id: str, path: str) -> EffectRow | None:
    """The step's newest effect that is, or may be, in the world, of whichever attempt."""
    wanted = select(EffectRow).where(col(EffectRow.run_id) == run_id, col(EffectRow.path) == path, col(EffectRow.state).in_(IN_FORCE))
    return await session.scalar(wanted.order_by(col(EffectRow.intended_at).desc()).limit(1))


async def of_run_in_force(session: AsyncSession, run_id: str) -> list[EffectRow]:
    """A run's effects that are, or may be, in the world, newest first."""
    wanted = select(EffectRow).where(col(EffectRow.run_id) == run_id, col(EffectRow.state).in_(IN_FORCE))
    return list(await session.scalars(wanted.order_by(col(EffectRow.seq).desc())))


async def touched_in_run(session: AsyncSession, run_id: str, target: tuple[str, str], kinds: Sequence[str]) -> int | None:
    """How many other targets of the target's type this run touched; None when it touched this one already."""
    return await _others(session, target, kinds, col(EffectRow.run_id) == run_id)


async def touched_since(session: AsyncSession, since: datetime, target: tuple[str, str], kinds: Sequence[str]) -> int | None:
    """How many other targets of the target's type anyone touched since; None when this one was among them."""
    return await _others(session, target, kinds, col(EffectRow.intended_at) > since)


async def _others(session: AsyncSession, target: tuple[str, str], kinds: Sequence[str], where: Any) -> int | None:
    """What failed for certain does not count."""
    kind, value = target
    ours = func.max((col(EffectRow.target_value) == value).cast(Integer))
    counted = select(func.count(distinct(col(EffectRow.target_value))), ours).where(
        where, col(EffectRow.target_type) == kind, col(EffectRow.effect).in_(kinds), col(EffectRow.state) != "failed"
    )
    count, already = (await session.execute(counted)).one()
    return None if already else int(count)
