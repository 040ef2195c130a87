"""Alerts and incidents: what came, what it belongs to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import AlertRow, AssetRow, IncidentRow, PlaybookRow, ReplayRow, RunKeyRow, RunRow


async def known(session: AsyncSession, source: str, dedup_key: str) -> AlertRow | None:
    """The alert that came before with this key."""
    return await session.scalar(select(AlertRow).where(col(AlertRow.source) == source, col(AlertRow.dedup_key) == dedup_key))


async def seen_again(session: AsyncSession, alert_id: str, now: datetime) -> None:
    """Counts one more."""
    await session.execute(update(AlertRow).where(col(AlertRow.id) == alert_id).values(seen=col(AlertRow.seen) + 1, last_seen_at=now))


async def replayed(session: AsyncSession, source: str, message_id: str, now: datetime, keep: timedelta) -> bool:
    """Whether the message id was seen already; remembers it. Old ones are forgotten."""
    await session.execute(delete(ReplayRow).where(col(ReplayRow.seen_at) < now - keep))
    row = {"source": source, "message_id": message_id, "seen_at": now}
    done = await session.execute(insert(session, ReplayRow).values(**row).on_conflict_do_nothing())
    return bool(done.rowcount == 0)  # type: ignore[attr-defined]


async def open_incident(session: AsyncSession, key: str, since: datetime) -> IncidentRow | None:
    """The newest incident with this key that had an alert since then."""
    found = select(IncidentRow).where(
        col(IncidentRow.correlation_key) == key, col(IncidentRow.last_alert_at) >= since, col(IncidentRow.status) == "open"
    )
    return await session.scalar(found.order_by(col(IncidentRow.last_alert_at).desc()).limit(1))


async def newest_triggers(session: AsyncSession) -> list[PlaybookRow]:
    """The newest version of each playbook that is not retired."""
    newest = (
        select(col(PlaybookRow.name), func.max(col(PlaybookRow.version)).label("version"))
        .where(col(PlaybookRow.retired).is_(False))
        .group_by(col(PlaybookRow.name))
        .subquery()
    )
    joined = (newest.c.name == col(PlaybookRow.name)) & (newest.c.version == col(PlaybookRow.version))
    return list(await session.scalars(select(PlaybookRow).join(newest, joined).order_by(col(PlaybookRow.name))))


async def claim(session: AsyncSession, playbook: str, once_key: str, run_id: str, now: datetime, within: timedelta) -> str:
    """The run that has this key from now on: `run_id`, or an earlier one that is no older than `within`. Atomic."""
    statement = insert(session, RunKeyRow).values(playbook=playbook, once_key=once_key, run_id=run_id, at=now)
    statement = statement.on_conflict_do_update(
        index_elements=["playbook", "once_key"], set_={"run_id": run_id, "at": now}, where=col(RunKeyRow.at) < now - within
    )
    await session.execute(statement)
    held = await session.scalar(
        select(RunKeyRow.run_id).where(col(RunKeyRow.playbook) == playbook, col(RunKeyRow.once_key) == once_key)  # type: ignore[call-overload]
    )
    return str(held)


async def runs_since(session: AsyncSession, playbook: str, since: datetime) -> int:
    """How many runs of a playbook were made since then."""
    counted = select(func.count()).select_from(RunRow).where(col(RunRow.playbook) == playbook, col(RunRow.created_at) >= since)
    return int(await session.scalar(counted) or 0)


async def asset(session: AsyncSession, kind: str, values: list[str]) -> AssetRow | None:
    """The first of these that is in the inventory."""
    found = {
        row.value: row for row in await session.scalars(select(AssetRow).where(col(AssetRow.type) == kind, col(AssetRow.value).in_(values)))
    }
    return next((found[value] for value in values if value in found), None)


async def page(session: AsyncSession, table: type[Any], moment: Any, before: tuple[datetime, str] | None, limit: int) -> list[Any]:
    """Newest first, from below a moment and id."""
    wanted = select(table).order_by(moment.desc(), table.id.desc()).limit(limit)
    if before is not None:
        at, id_ = before
        wanted = wanted.where((moment < at) | ((moment == at) & (table.id < id_)))
    return list(await session.scalars(wanted))
