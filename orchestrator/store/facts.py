"""What does the store know that a judgement depends on? The policy in force, engaged kill switches, assets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.tables import AssetRow, KillSwitchRow, PlaybookRow, PolicyRow


async def newest_policy(session: AsyncSession) -> PolicyRow | None:
    """The policy in force."""
    return await session.scalar(select(PolicyRow).order_by(col(PolicyRow.version).desc()).limit(1))


async def switches(session: AsyncSession) -> list[KillSwitchRow]:
    """All engaged kill switches."""
    return list(await session.scalars(select(KillSwitchRow)))


async def assets(session: AsyncSession, names: Sequence[tuple[str, str]]) -> list[AssetRow]:
    """Those of our own things that go by these types and names."""
    if not names:
        return []
    return list(await session.scalars(select(AssetRow).where(tuple_(col(AssetRow.type), col(AssetRow.value)).in_(list(names)))))


async def playbook_of(session: AsyncSession, name: str, version: int) -> PlaybookRow | None:
    """A published version."""
    return await session.get(PlaybookRow, (name, version))
