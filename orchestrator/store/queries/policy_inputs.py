"""Queries on what a policy evaluation depends on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.containment import MAY_BE_IN_FORCE
from orchestrator.store.authentic import sealed_values
from orchestrator.store.dialect import insert
from orchestrator.store.statements.statement import Statement
from orchestrator.store.tables import (
    ApprovalRow,
    AssetNameRow,
    AssetRow,
    BreakerRow,
    EffectRow,
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
    also: tuple[tuple[str, str], ...] = ()
    """Its other names: type and canonical value."""

    @classmethod
    def of(cls, row: AssetRow) -> KnownAsset:
        """Return the asset of a row."""
        also = tuple((kind, value) for kind, value in row.also)
        return cls(row.type, row.value, row.kind, row.critical, row.tags, also)

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """All of its names: type and canonical value."""
        return ((self.type, self.value), *self.also)


_BATCH = 500  # rows in one statement
_OWN = Statement(
    "read own infrastructure",
    lambda _: (
        select(col(OwnRow.type), col(OwnRow.value), col(OwnRow.why))
        .where(col(OwnRow.seen_at) > bindparam("since"))
        .distinct()
    ),
)
_ASSET_FIELDS = ("mac", "short", "kind", "critical", "tags", "also")


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


async def get_breaker(session: AsyncSession, source: str) -> BreakerRow | None:
    """Return the circuit breaker of a source, tripped or reset; None if it never tripped."""
    return await session.get(BreakerRow, source, populate_existing=True)


async def find_assets(
    session: AsyncSession,
    names: Collection[tuple[str, str]],
    shorts: Collection[tuple[str, str]] = (),
) -> list[KnownAsset]:
    """Return assets of which one name has this type and value, or this type and short name."""
    also = [
        *_by_type(AssetNameRow, "value", names),
        *_by_type(AssetNameRow, "short", shorts),
    ]
    if not also:
        return []
    keys = select(col(AssetNameRow.asset_type), col(AssetNameRow.asset_value)).where(or_(*also))
    named = [(kind, value) for kind, value in (await session.execute(keys)).all()]
    wanted = [
        *_by_type(AssetRow, "value", {*names, *named}),
        *_by_type(AssetRow, "short", shorts),
    ]
    return [
        KnownAsset.of(row) for row in await session.scalars(select(AssetRow).where(or_(*wanted)))
    ]


async def upsert_assets(
    session: AsyncSession, rows: Sequence[AssetRow], shorten: Callable[[str, str], str]
) -> None:
    """Insert or replace assets with their names, in batches."""
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        added = insert(session, AssetRow).values([sealed_values(session, row) for row in part])
        fresh = {name: added.excluded[name] for name in _ASSET_FIELDS}
        await session.execute(
            added.on_conflict_do_update(index_elements=["type", "value"], set_=fresh)
        )
        await _forget_names(session, [(row.type, row.value) for row in part])
        names = [
            {
                "asset_type": row.type,
                "asset_value": row.value,
                "type": kind,
                "value": value,
                "short": shorten(kind, value),
            }
            for row in part
            for kind, value in row.also
        ]
        for first in range(0, len(names), _BATCH):
            await session.execute(
                insert(session, AssetNameRow).values(names[first : first + _BATCH])
            )


async def remove_asset(session: AsyncSession, row: AssetRow) -> None:
    """Delete an asset with its names."""
    await _forget_names(session, [(row.type, row.value)])
    await session.delete(row)


async def _forget_names(session: AsyncSession, assets: Sequence[tuple[str, str]]) -> None:
    values: dict[str, list[str]] = {}
    for kind, value in assets:
        values.setdefault(kind, []).append(value)
    for kind, found in values.items():
        of_these = (col(AssetNameRow.asset_type) == kind, col(AssetNameRow.asset_value).in_(found))
        await session.execute(delete(AssetNameRow).where(*of_these))


def _by_type(
    table: type[AssetRow | AssetNameRow], column: str, pairs: Iterable[tuple[str, str]]
) -> list[ColumnElement[bool]]:
    """Return one condition per type, because SQLite uses no index for a list of pairs."""
    values: dict[str, list[str]] = {}
    for kind, value in sorted(set(pairs)):
        values.setdefault(kind, []).append(value)
    searched = col(getattr(table, column))
    return [(col(table.type) == kind) & searched.in_(found) for kind, found in values.items()]


async def find_address_assets(session: AsyncSession) -> list[KnownAsset]:
    """Return all assets that are, or have, addresses or networks."""
    is_one = col(AssetRow.type).in_(["address", "network"])
    has_one = exists().where(
        col(AssetNameRow.asset_type) == col(AssetRow.type),
        col(AssetNameRow.asset_value) == col(AssetRow.value),
        col(AssetNameRow.type) == "address",
    )
    wanted = select(AssetRow).where(or_(is_one, has_one))
    return [KnownAsset.of(row) for row in await session.scalars(wanted)]


async def list_own(session: AsyncSession, since: datetime) -> list[tuple[str, str, str]]:
    """Return type, value and reason of what Tocsin depends on, as seen since `since`."""
    rows = await _OWN.rows(session, {"since": since})
    return [(kind, value, why) for kind, value, why in rows]


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
