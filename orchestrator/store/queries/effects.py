"""Queries on effects: recorded before a vendor is called, and counted by the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    and_,
    case,
    cast,
    distinct,
    extract,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.change import Effect
from orchestrator.domain.containment import MAY_BE_IN_FORCE, EffectState
from orchestrator.domain.observable import Target
from orchestrator.store.statements import effects as statements
from orchestrator.store.statements.statement import refresh_known
from orchestrator.store.tables import EffectRow


def effect_id(run_id: str, path: str, attempt: int) -> str:
    """Return the id of the effect of a step and attempt; a repeated call finds its intent by it."""
    return f"{run_id}/{path}/{attempt}"


async def get(session: AsyncSession, id_: str) -> EffectRow | None:
    """Return an effect."""
    return await session.get(EffectRow, id_)


async def record_intent(session: AsyncSession, row: dict[str, Any]) -> None:
    """Insert an intent; replace an earlier one of the same step and attempt."""
    await statements.record_intent(frozenset(row)).run(session, row)


async def set_outcome(
    session: AsyncSession,
    id_: str,
    state: EffectState,
    now: datetime,
    output: dict[str, Any] | None = None,
) -> None:
    """Record what became of an effect."""
    values = {"effect": id_, "new_state": state, "new_ended_at": now, "new_output": output}
    statement = statements.SET_OUTCOME if output is None else statements.SET_OUTCOME_WITH_OUTPUT
    await statement.run(session, values)
    await refresh_known(session, EffectRow, id_)


async def mark_undone(
    session: AsyncSession, ids: Sequence[str], now: datetime, by: str | None = None
) -> None:
    """Mark effects as undone. `by`: the effect of the restore that undid them."""
    gone = update(EffectRow).where(
        col(EffectRow.id).in_(ids), col(EffectRow.state).in_(MAY_BE_IN_FORCE)
    )
    await session.execute(gone.values(state=EffectState.UNDONE, ended_at=now, undone_by=by))


async def mark_verified(session: AsyncSession, id_: str) -> None:
    """Record that the device shows an effect."""
    await statements.MARK_VERIFIED.run(session, {"effect": id_})
    await refresh_known(session, EffectRow, id_)


async def newest_in_force(session: AsyncSession, run_id: str, path: str) -> EffectRow | None:
    """Return the newest effect of a step, of any attempt, that is or may be in the world."""
    wanted = select(EffectRow).where(
        col(EffectRow.run_id) == run_id,
        col(EffectRow.path) == path,
        col(EffectRow.state).in_(MAY_BE_IN_FORCE),
    )
    return await session.scalar(wanted.order_by(col(EffectRow.intended_at).desc()).limit(1))


async def in_force_of_run(session: AsyncSession, run_id: str) -> list[EffectRow]:
    """Return the effects of a run that are, or may be, in the world, newest first."""
    wanted = select(EffectRow).where(
        col(EffectRow.run_id) == run_id, col(EffectRow.state).in_(MAY_BE_IN_FORCE)
    )
    return list(await session.scalars(wanted.order_by(col(EffectRow.seq).desc())))


@dataclass(frozen=True, slots=True)
class LimitWindow:
    """The effects that one limit counts."""

    columns: tuple[tuple[str, str], ...]  # name and value of the columns that must match
    since: datetime | None  # None: since ever

    def condition(self) -> ColumnElement[bool]:
        """Return the condition on effects."""
        wanted = [col(getattr(EffectRow, name)) == value for name, value in self.columns]
        return and_(
            true(), *wanted, *([col(EffectRow.intended_at) > self.since] if self.since else [])
        )


async def count_targets(
    session: AsyncSession,
    windows: Sequence[LimitWindow],
    types: Sequence[str],
    value: str,
    kinds: Sequence[str],
) -> list[tuple[int, bool]]:
    """Count the different targets of these types per window, and tell whether `value` is one.

    Effects that failed do not count.
    """
    if not windows:
        return []
    target = col(EffectRow.target_value)
    conditions = [window.condition() for window in windows]
    columns: list[Any] = [
        func.count(distinct(case((condition, target)))) for condition in conditions
    ]
    columns += [
        func.max(case((condition & (target == value), 1), else_=0)) for condition in conditions
    ]
    row = (
        await session.execute(select(*columns).where(or_(*conditions), *_counted(types, kinds)))
    ).one()
    return [
        (int(count), bool(known))
        for count, known in zip(row[: len(windows)], row[len(windows) :], strict=True)
    ]


async def touched_networks(
    session: AsyncSession, windows: Sequence[LimitWindow], kinds: Sequence[str]
) -> list[tuple[str, tuple[bool, ...]]]:
    """Return each network that was touched within any window, and within which of them."""
    conditions = [window.condition() for window in windows]
    flags = [func.max(case((condition, 1), else_=0)) for condition in conditions]
    wanted = select(col(EffectRow.target_value), *flags).where(
        or_(*conditions), *_counted(["network"], kinds)
    )
    rows = (await session.execute(wanted.group_by(col(EffectRow.target_value)))).all()
    return [(row[0], tuple(map(bool, row[1:]))) for row in rows]


async def targets_contained_for(
    session: AsyncSession, source: str, since: datetime
) -> set[tuple[str, str]]:
    """Return the targets contained on behalf of a source since a moment."""
    wanted = select(col(EffectRow.target_type), col(EffectRow.target_value)).where(
        *_of_source(source), col(EffectRow.intended_at) > since
    )
    return {(kind, value) for kind, value in (await session.execute(wanted.distinct())).all()}


async def count_contained_per_window(
    session: AsyncSession, source: str, begin: datetime, end: datetime, window: int, enough: int
) -> int:
    """Sum the different targets contained for a source per window of `window` seconds.

    Counting stops at `enough`.
    """
    number = cast(extract("epoch", col(EffectRow.intended_at)), BigInteger) // window
    within = (col(EffectRow.intended_at) > begin, col(EffectRow.intended_at) <= end)
    each = select(
        number.label("number"), col(EffectRow.target_type), col(EffectRow.target_value)
    ).where(*_of_source(source), *within)
    return int(
        await session.scalar(
            select(func.count()).select_from(each.distinct().limit(enough).subquery())
        )
        or 0
    )


def _of_source(source: str) -> tuple[ColumnElement[bool], ...]:
    return (
        col(EffectRow.source) == source,
        col(EffectRow.effect) == Effect.CONTAIN,
        col(EffectRow.state) != EffectState.FAILED,
    )


def _counted(types: Sequence[str], kinds: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        col(EffectRow.target_type).in_(types),
        col(EffectRow.effect).in_(kinds),
        col(EffectRow.state) != EffectState.FAILED,
    )


async def of_run(session: AsyncSession, run_id: str) -> list[EffectRow]:
    """Return the effects of a run, oldest first."""
    wanted = select(EffectRow).where(col(EffectRow.run_id) == run_id)
    return list(await session.scalars(wanted.order_by(col(EffectRow.intended_at))))


@dataclass(frozen=True, slots=True)
class TargetHistory:
    """The containments of one target by other runs."""

    runs: int
    first: datetime | None
    last: datetime | None
    in_force: int  # effects that are, or may be, in the world


async def containments_of_target(
    session: AsyncSession, target: Target, *, since: datetime, without_run: str
) -> TargetHistory:
    """Return the containments of a target that began since a moment, without those of a run."""
    made = [state for state in EffectState if state is not EffectState.FAILED]
    at = col(EffectRow.intended_at)
    wanted = select(
        func.count(distinct(col(EffectRow.run_id))),
        func.min(at),
        func.max(at),
        func.count(case((col(EffectRow.state).in_(MAY_BE_IN_FORCE), 1))),
    ).where(
        col(EffectRow.target_type) == target.type.value,
        col(EffectRow.target_value) == target.value,
        col(EffectRow.effect) == Effect.CONTAIN.value,
        col(EffectRow.state).in_(made),
        at >= since,
        col(EffectRow.run_id) != without_run,
    )
    runs, first, last, in_force = (await session.execute(wanted)).one()
    return TargetHistory(runs, first, last, in_force)
