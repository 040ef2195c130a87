"""Queries on what a policy evaluation depends on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from orchestrator.domain.containment import MAY_BE_IN_FORCE
from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    ApprovalRow,
    AssetRow,
    BreakerRow,
    EffectRow,
    KillSwitchRow,
    OwnRow,
    PlaybookRow,
    PolicyRow,
)


class KnownAsset(NamedTuple):
    """One asset of the inventory."""

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


async def get_newest_policy(session: AsyncSession) -> PolicyRow | None:
    """Return the policy in force."""
    return await session.scalar(select(PolicyRow).order_by(col(PolicyRow.version).desc()).limit(1))


async def list_policies_since(session: AsyncSession, since: datetime) -> list[PolicyRow]:
    """Return the policy that was in force at a time, if any, and all later ones."""
    before = (
        select(func.coalesce(func.max(PolicyRow.version), 0))
        .where(col(PolicyRow.published_at) <= since)
        .scalar_subquery()
    )
    wanted = select(PolicyRow).where(col(PolicyRow.version) >= before)
    return list(await session.scalars(wanted.order_by(col(PolicyRow.version))))


async def list_approving_groups(
    session: AsyncSession, held: Collection[tuple[str, str]]
) -> set[str]:
    """Return the groups that approved changes in force; `held`: containments and their runs."""
    changes = select(EffectRow).where(
        col(EffectRow.containment_key).in_({key for key, _ in held}),
        col(EffectRow.run_id).in_({run for _, run in held}),
        col(EffectRow.state).in_(MAY_BE_IN_FORCE),
    )
    ids = {
        row.approval_id
        for row in await session.scalars(changes)
        if (row.containment_key, row.run_id) in held
    }
    asked = select(ApprovalRow).where(col(ApprovalRow.id).in_(ids - {None}))
    rows = await session.scalars(asked)
    return {row.by_group for row in rows if row.by_group is not None}


async def list_switches(session: AsyncSession) -> list[KillSwitchRow]:
    """Return the engaged kill switches as they are stored now."""
    return list(
        await session.scalars(select(KillSwitchRow), execution_options={"populate_existing": True})
    )


async def get_breaker(session: AsyncSession, source: str) -> BreakerRow | None:
    """Return the circuit breaker of a source, tripped or reset; None if it never tripped."""
    return await session.get(BreakerRow, source, populate_existing=True)


async def find_assets(
    session: AsyncSession,
    names: Collection[tuple[str, str]],
    shorts: Collection[tuple[str, str]] = (),
) -> list[KnownAsset]:
    """Return assets with these types and names, or with these types and short names."""
    wanted = [*_by_type(col(AssetRow.value), names), *_by_type(col(AssetRow.short), shorts)]
    if not wanted:
        return []
    return [
        KnownAsset(*row)
        for row in (await session.execute(select(*_ASSET).where(or_(*wanted)))).all()
    ]


def _by_type(column: Mapped[str], pairs: Iterable[tuple[str, str]]) -> list[ColumnElement[bool]]:
    """Return one condition per type, because SQLite uses no index for a list of pairs."""
    values: dict[str, list[str]] = {}
    for kind, value in sorted(set(pairs)):
        values.setdefault(kind, []).append(value)
    return [(col(AssetRow.type) == kind) & column.in_(found) for kind, found in values.items()]


async def find_address_assets(session: AsyncSession) -> list[KnownAsset]:
    """Return all assets that are addresses or networks."""
    wanted = select(*_ASSET).where(col(AssetRow.type).in_(["address", "network"]))
    return [KnownAsset(*row) for row in (await session.execute(wanted)).all()]


async def list_own(session: AsyncSession, since: datetime) -> list[tuple[str, str, str]]:
    """Return type, value and reason of what Tocsin depends on, as seen since `since`."""
    wanted = select(col(OwnRow.type), col(OwnRow.value), col(OwnRow.why)).where(
        col(OwnRow.seen_at) > since
    )
    return [
        (kind, value, why) for kind, value, why in (await session.execute(wanted.distinct())).all()
    ]


async def save_own(
    session: AsyncSession, rows: Sequence[dict[str, str | datetime]], *, forget_before: datetime
) -> None:
    """Save what a process sees now, and delete what no process has seen since `forget_before`."""
    await session.execute(delete(OwnRow).where(col(OwnRow.seen_at) < forget_before))
    if rows:
        added = insert(session, OwnRow)
        fresh = {"why": added.excluded["why"], "seen_at": added.excluded["seen_at"]}
        await session.execute(
            added.on_conflict_do_update(index_elements=["node", "type", "value"], set_=fresh),
            list(rows),
        )


async def get_playbook(session: AsyncSession, name: str, version: int) -> PlaybookRow | None:
    """Return a published version."""
    return await session.get(PlaybookRow, (name, version))


async def has_assets(session: AsyncSession) -> bool:
    """Return whether the inventory lists any asset."""
    return await session.scalar(select(AssetRow).limit(1)) is not None
