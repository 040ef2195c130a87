"""Alerts and incidents: what came, what it belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from orchestrator.domain.run import Mode
from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    AlertRow,
    IncidentRow,
    PlaybookRow,
    ReplayRow,
    RunKeyRow,
    RunRow,
)

_MOST = 500


async def known(
    session: AsyncSession, source: str, dedup_keys: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """The ids of the alert and its incident by dedup key, for those that came before."""
    found: dict[str, tuple[str, str]] = {}
    for part in _parts(dedup_keys):
        wanted = select(col(AlertRow.dedup_key), col(AlertRow.id), col(AlertRow.incident_id))
        rows = await session.execute(
            wanted.where(col(AlertRow.source) == source, col(AlertRow.dedup_key).in_(part))
        )
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


async def seen_again(session: AsyncSession, alert_ids: Sequence[str], now: datetime) -> None:
    """Counts one more for each."""
    for part in _parts(alert_ids):
        again = update(AlertRow).where(col(AlertRow.id).in_(part))
        await session.execute(
            again.values(seen=col(AlertRow.seen) + 1, last_seen_at=now),
            execution_options={"synchronize_session": False},
        )


async def add_all(session: AsyncSession, rows: Iterable[SQLModel]) -> None:
    """Inserts alerts, incidents and runs, many in a statement."""
    session.add_all(rows)
    await session.flush()


async def remember(
    session: AsyncSession,
    source: str,
    message_id: str,
    sent: int,
    body_sha256: str,
    now: datetime,
    keep: timedelta,
) -> bool:
    """Remembers a message id for as long as `keep`. False for a replay.

    A sender that got no answer signs the same message anew, so a later `sent` (seconds) with the same body is no replay;
    the same signed bytes once more, or another body, are.
    """
    await session.execute(delete(ReplayRow).where(col(ReplayRow.seen_at) < now - keep))
    row = {
        "source": source,
        "message_id": message_id,
        "sent": sent,
        "body_sha256": body_sha256,
        "seen_at": now,
    }
    done = await session.execute(
        insert(session, ReplayRow)
        .values(**row)
        .on_conflict_do_nothing(index_elements=["source", "message_id"])
    )
    if done.rowcount == 1:  # type: ignore[attr-defined]
        return True
    same = (
        (col(ReplayRow.source) == source)
        & (col(ReplayRow.message_id) == message_id)
        & (col(ReplayRow.body_sha256) == body_sha256)
    )
    later = await session.execute(
        update(ReplayRow).where(same, col(ReplayRow.sent) < sent).values(sent=sent, seen_at=now)
    )
    return bool(later.rowcount == 1)  # type: ignore[attr-defined]


async def open_incidents(
    session: AsyncSession, keys: Sequence[str], since: datetime
) -> dict[str, IncidentRow]:
    """By key the newest open incident that had an alert since then."""
    found: dict[str, IncidentRow] = {}
    for part in _parts(keys):
        wanted = select(IncidentRow).where(
            col(IncidentRow.correlation_key).in_(part),
            col(IncidentRow.last_alert_at) >= since,
            col(IncidentRow.status) == "open",
        )
        found |= {
            row.correlation_key: row
            for row in await session.scalars(wanted.order_by(col(IncidentRow.last_alert_at)))
        }
    return found


async def newest_triggers(session: AsyncSession) -> list[tuple[str, int, str, str]]:
    """Name, version, digest and stage of the newest live version of each playbook, and of the newest shadow; retired ones left out."""
    newest = (
        select(col(PlaybookRow.name), func.max(col(PlaybookRow.version)).label("version"))
        .where(col(PlaybookRow.retired).is_(False))
        .group_by(col(PlaybookRow.name), col(PlaybookRow.stage))
        .subquery()
    )
    joined = (newest.c.name == col(PlaybookRow.name)) & (
        newest.c.version == col(PlaybookRow.version)
    )
    columns = (
        col(PlaybookRow.name),
        col(PlaybookRow.version),
        col(PlaybookRow.digest),
        col(PlaybookRow.stage),
    )
    rows = await session.execute(
        select(*columns).join(newest, joined).order_by(col(PlaybookRow.name))
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


async def claim(
    session: AsyncSession,
    playbook: str,
    once_key: str,
    run_id: str,
    now: datetime,
    within: timedelta,
) -> str:
    """The run that has this key from now on: `run_id`, or an earlier one that is no older than `within`. Atomic."""
    statement = insert(session, RunKeyRow).values(
        playbook=playbook, once_key=once_key, run_id=run_id, at=now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["playbook", "once_key"],
        set_={"run_id": run_id, "at": now},
        where=col(RunKeyRow.at) < now - within,
    )
    taken = await session.scalar(statement.returning(RunKeyRow.run_id))
    return taken or await holder(session, playbook, once_key) or run_id


async def holder(
    session: AsyncSession, playbook: str, once_key: str, since: datetime | None = None
) -> str | None:
    """The newest run with this key, if it has one (and has had it since then)."""
    wanted = select(col(RunKeyRow.run_id)).where(
        col(RunKeyRow.playbook) == playbook, col(RunKeyRow.once_key) == once_key
    )
    return await session.scalar(
        wanted if since is None else wanted.where(col(RunKeyRow.at) >= since)
    )


async def free(session: AsyncSession, run_id: str) -> None:
    """The key that a run has covers no later alert any more."""
    await session.execute(delete(RunKeyRow).where(col(RunKeyRow.run_id) == run_id))


async def runs_since(session: AsyncSession, playbook: str, since: datetime) -> int:
    """How many live runs of a playbook began by themselves since then. One that goes beyond the limit is people's, and doesn't count."""
    counted = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.playbook) == playbook,
            col(RunRow.mode) == Mode.LIVE.value,
            col(RunRow.created_at) >= since,
            col(RunRow.over_limit).is_(None),
        )
    )
    return int(await session.scalar(counted) or 0)


async def raw_of(session: AsyncSession, alert: AlertRow) -> bytes:
    """The body that the alert came in, byte for byte. The alerts of one body share it."""
    if alert.raw:
        return alert.raw
    wanted = select(col(AlertRow.raw)).where(
        col(AlertRow.raw_sha256) == alert.raw_sha256, func.length(col(AlertRow.raw)) > 0
    )
    return await session.scalar(wanted.limit(1)) or b""


def _parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Few enough for one statement's parameters."""
    for start in range(0, len(values), _MOST):
        yield values[start : start + _MOST]
