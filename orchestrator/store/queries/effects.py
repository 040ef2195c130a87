"""How do intents lie in the store, and what became of them? Written before a vendor is called; counted by the limits."""

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
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["id"], set_={**fresh, "output": None, "ended_at": None}
        )
    )


async def end(
    session: AsyncSession, id_: str, state: str, now: datetime, output: dict[str, Any] | None = None
) -> None:
    """Says what became of an effect."""
    values: dict[str, Any] = {"state": state, "ended_at": now}
    if output is not None:
        values["output"] = output
    await session.execute(update(EffectRow).where(col(EffectRow.id) == id_).values(**values))


async def end_shared(session: AsyncSession, containment_key: str, now: datetime) -> None:
    """A containment was lifted: none of its effects is in the world any more."""
    gone = update(EffectRow).where(
        col(EffectRow.containment_key) == containment_key, col(EffectRow.state).in_(IN_FORCE)
    )
    await session.execute(gone.values(state="undone", ended_at=now))


async def verified(session: AsyncSession, id_: str) -> None:
    """The device says that it is in force."""
    found = update(EffectRow).where(col(EffectRow.id) == id_, col(EffectRow.state).in_(IN_FORCE))
    await session.execute(found.values(state="verified"))


async def newest_in_force(session: AsyncSession, run_id: str, path: str) -> EffectRow | None:
    """The step's newest effect that is, or may be, in the world, of whichever attempt."""
    wanted = select(EffectRow).where(
        col(EffectRow.run_id) == run_id,
        col(EffectRow.path) == path,
        col(EffectRow.state).in_(IN_FORCE),
    )
    return await session.scalar(wanted.order_by(col(EffectRow.intended_at).desc()).limit(1))


async def of_run_in_force(session: AsyncSession, run_id: str) -> list[EffectRow]:
    """A run's effects that are, or may be, in the world, newest first."""
    wanted = select(EffectRow).where(
        col(EffectRow.run_id) == run_id, col(EffectRow.state).in_(IN_FORCE)
    )
    return list(await session.scalars(wanted.order_by(col(EffectRow.seq).desc())))


@dataclass(frozen=True, slots=True)
class Span:
    """Which effects one limit counts: those that have these columns, since a moment (None: ever)."""

    columns: tuple[tuple[str, str], ...]
    since: datetime | None

    def holds(self) -> ColumnElement[bool]:
        """As a condition."""
        wanted = [col(getattr(EffectRow, name)) == value for name, value in self.columns]
        return and_(
            true(), *wanted, *([col(EffectRow.intended_at) > self.since] if self.since else [])
        )


async def touched(
    session: AsyncSession,
    spans: Sequence[Span],
    types: Sequence[str],
    value: str,
    kinds: Sequence[str],
) -> list[tuple[int, bool]]:
    """Per span: how many different targets of these types were touched, and whether this one was among them; in one statement.

    What failed for certain does not count.
    """
    if not spans:
        return []
    target = col(EffectRow.target_value)
    held = [span.holds() for span in spans]
    columns: list[Any] = [func.count(distinct(case((condition, target)))) for condition in held]
    columns += [func.max(case((condition & (target == value), 1), else_=0)) for condition in held]
    row = (await session.execute(select(*columns).where(or_(*held), *_counted(types, kinds)))).one()
    return [
        (int(count), bool(ours))
        for count, ours in zip(row[: len(spans)], row[len(spans) :], strict=True)
    ]


async def networks_touched(
    session: AsyncSession, spans: Sequence[Span], kinds: Sequence[str]
) -> list[tuple[str, tuple[bool, ...]]]:
    """Each network that was touched within any span, and within which of them."""
    held = [span.holds() for span in spans]
    flags = [func.max(case((condition, 1), else_=0)) for condition in held]
    wanted = select(col(EffectRow.target_value), *flags).where(
        or_(*held), *_counted(["network"], kinds)
    )
    rows = (await session.execute(wanted.group_by(col(EffectRow.target_value)))).all()
    return [(row[0], tuple(map(bool, row[1:]))) for row in rows]


async def contained_for(
    session: AsyncSession, source: str, since: datetime
) -> set[tuple[str, str]]:
    """The different targets that a source's alerts have had contained since a moment."""
    wanted = select(col(EffectRow.target_type), col(EffectRow.target_value)).where(
        *_of_source(source), col(EffectRow.intended_at) > since
    )
    return {(kind, value) for kind, value in (await session.execute(wanted.distinct())).all()}


async def contained_per_window(
    session: AsyncSession, source: str, begin: datetime, end: datetime, window: int, enough: int
) -> int:
    """The sum, over windows of so many seconds in a row, of the different targets that a source had contained in each; up to `enough`."""
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
        col(EffectRow.effect) == "contain",
        col(EffectRow.state) != "failed",
    )


def _counted(types: Sequence[str], kinds: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        col(EffectRow.target_type).in_(types),
        col(EffectRow.effect).in_(kinds),
        col(EffectRow.state) != "failed",
    )


async def of_run(session: AsyncSession, run_id: str) -> list[EffectRow]:
    """Return the effects of a run, oldest first."""
    wanted = select(EffectRow).where(col(EffectRow.run_id) == run_id)
    return list(await session.scalars(wanted.order_by(col(EffectRow.intended_at))))
