"""What does the store know that a verdict depends on? The policy in force, engaged kill switches, breakers, assets, what is our own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    AssetRow,
    BreakerRow,
    KillSwitchRow,
    OwnRow,
    PlaybookRow,
    PolicyRow,
)


class KnownAsset(NamedTuple):
    """What the inventory says of one thing."""

    type: str
    value: str
    kind: str
    critical: bool
    tags: list[str]


_ASSET = (
    col(AssetRow.type),
    col(AssetRow.value),
    col(AssetRow.kind),
    col(AssetRow.critical),
    col(AssetRow.tags),
)


async def newest_policy(session: AsyncSession) -> PolicyRow | None:
    """The policy in force."""
    return await session.scalar(select(PolicyRow).order_by(col(PolicyRow.version).desc()).limit(1))


async def switches(session: AsyncSession) -> list[KillSwitchRow]:
    """All engaged kill switches, as they are in the store now."""
    return list(
        await session.scalars(select(KillSwitchRow), execution_options={"populate_existing": True})
    )


async def breaker(session: AsyncSession, source: str) -> BreakerRow | None:
    """The source's breaker: tripped, or reset some time ago. None: it never tripped."""
    return await session.get(BreakerRow, source, populate_existing=True)


async def assets(
    session: AsyncSession,
    names: Collection[tuple[str, str]],
    shorts: Collection[tuple[str, str]] = (),
) -> list[KnownAsset]:
    """Those of our own things that go by these types and names, or by these types and short names."""
    wanted = [*_by_type(col(AssetRow.value), names), *_by_type(col(AssetRow.short), shorts)]
    if not wanted:
        return []
    return [
        KnownAsset(*row)
        for row in (await session.execute(select(*_ASSET).where(or_(*wanted)))).all()
    ]


def _by_type(column: Mapped[str], pairs: Iterable[tuple[str, str]]) -> list[ColumnElement[bool]]:
    """One condition per type: of a list of pairs SQLite makes no use of an index."""
    values: dict[str, list[str]] = {}
    for kind, value in sorted(set(pairs)):
        values.setdefault(kind, []).append(value)
    return [(col(AssetRow.type) == kind) & column.in_(found) for kind, found in values.items()]


async def assets_with_addresses(session: AsyncSession) -> list[KnownAsset]:
    """All of our addresses and networks."""
    wanted = select(*_ASSET).where(col(AssetRow.type).in_(["address", "network"]))
    return [KnownAsset(*row) for row in (await session.execute(wanted)).all()]


async def own(session: AsyncSession, since: datetime) -> list[tuple[str, str, str]]:
    """Type, value and reason of what Tocsin stands on, as any of its processes has seen it since a moment."""
    wanted = select(col(OwnRow.type), col(OwnRow.value), col(OwnRow.why)).where(
        col(OwnRow.seen_at) > since
    )
    return [
        (kind, value, why) for kind, value, why in (await session.execute(wanted.distinct())).all()
    ]


async def put_own(
    session: AsyncSession, rows: Sequence[dict[str, str | datetime]], *, forget_before: datetime
) -> None:
    """Says that a process sees these now; what nobody has seen since a moment is forgotten."""
    await session.execute(delete(OwnRow).where(col(OwnRow.seen_at) < forget_before))
    if rows:
        added = insert(session, OwnRow)
        fresh = {"why": added.excluded["why"], "seen_at": added.excluded["seen_at"]}
        await session.execute(
            added.on_conflict_do_update(index_elements=["node", "type", "value"], set_=fresh),
            list(rows),
        )


async def playbook_of(session: AsyncSession, name: str, version: int) -> PlaybookRow | None:
    """A published version."""
    return await session.get(PlaybookRow, (name, version))


async def has_assets(session: AsyncSession) -> bool:
    """Return whether the inventory lists any asset."""
    return await session.scalar(select(AssetRow).limit(1)) is not None
