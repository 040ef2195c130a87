"""Queries of alerts, message ids, and the keys under which alerts start runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from orchestrator.domain.incident import IncidentStatus
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.dialect import insert
from orchestrator.store.search.index import index_alerts
from orchestrator.store.tables import (
    AlertRow,
    IncidentRow,
    PlaybookRow,
    ReplayRow,
    RunKeyRow,
    RunRow,
)

_MAX_PARAMETERS = 500  # of one statement
_COUNTED_FOR = timedelta(hours=1)


async def known(
    session: AsyncSession, source: str, dedup_keys: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return the ids of alert and incident by dedup key, for the keys that are stored."""
    found: dict[str, tuple[str, str]] = {}
    for part in _slices(dedup_keys):
        wanted = select(col(AlertRow.dedup_key), col(AlertRow.id), col(AlertRow.incident_id))
        rows = await session.execute(
            wanted.where(col(AlertRow.source) == source, col(AlertRow.dedup_key).in_(part))
        )
        found |= {row[0]: (row[1], row[2]) for row in rows}
    return found


async def count_again(session: AsyncSession, alert_ids: Sequence[str], now: datetime) -> None:
    """Count one more arrival of each alert."""
    for part in _slices(alert_ids):
        again = update(AlertRow).where(col(AlertRow.id).in_(part))
        await session.execute(
            again.values(seen=col(AlertRow.seen) + 1, last_seen_at=now),
            execution_options={"synchronize_session": False},
        )


async def add_all(session: AsyncSession, rows: Iterable[SQLModel]) -> None:
    """Insert alerts, incidents and runs, many in a statement, and index what the alerts name."""
    added = list(rows)
    session.add_all(added)
    await session.flush()
    await index_alerts(session, [row for row in added if isinstance(row, AlertRow)])


async def remember(
    session: AsyncSession,
    source: str,
    message_id: str,
    sent: int,
    body_sha256: str,
    now: datetime,
    keep: timedelta,
) -> bool:
    """Remember a message id for as long as `keep`. Return False for a replay.

    A sender that got no answer signs the same message again: a later `sent` (seconds) with the same
    body is accepted. The same signed bytes, or another body, are a replay.
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


async def open_incident_ids(
    session: AsyncSession, keys: Sequence[str], since: datetime
) -> dict[str, str]:
    """Return by key the id of the newest open incident with an alert since a moment."""
    found: dict[str, str] = {}
    for part in _slices(keys):
        wanted = select(col(IncidentRow.correlation_key), col(IncidentRow.id)).where(
            col(IncidentRow.correlation_key).in_(part),
            col(IncidentRow.last_alert_at) >= since,
            col(IncidentRow.status) == IncidentStatus.OPEN,
        )
        rows = await session.execute(wanted.order_by(col(IncidentRow.last_alert_at)))
        found |= {row[0]: row[1] for row in rows}
    return found


async def incident_ids_of_fingerprints(
    session: AsyncSession, source: str, fingerprints: Sequence[str]
) -> dict[str, str]:
    """Return by fingerprint the incident of a source's newest alert with it."""
    found: dict[str, str] = {}
    for part in _slices(fingerprints):
        wanted = select(col(AlertRow.fingerprint), col(AlertRow.incident_id)).where(
            col(AlertRow.source) == source, col(AlertRow.fingerprint).in_(part)
        )
        rows = await session.execute(wanted.order_by(col(AlertRow.received_at), col(AlertRow.id)))
        found |= {row[0]: row[1] for row in rows}
    return found


async def lock_incidents(session: AsyncSession, ids: Iterable[str]) -> dict[str, IncidentRow]:
    """Return incidents by id, locked in the order of their ids until the transaction ends."""
    found: dict[str, IncidentRow] = {}
    for part in _slices(sorted(ids)):
        wanted = select(IncidentRow).where(col(IncidentRow.id).in_(part))
        rows = await session.scalars(wanted.order_by(col(IncidentRow.id)).with_for_update())
        found |= {row.id: row for row in rows}
    return found


async def newest_triggers(session: AsyncSession) -> list[tuple[str, int, str, str]]:
    """Return name, version, digest and stage of each playbook's newest live version and shadow.

    Retired versions are left out, and so is a newest one that is set aside.
    """
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
        select(*columns)
        .join(newest, joined)
        .where(col(PlaybookRow.set_aside_at).is_(None))
        .order_by(col(PlaybookRow.name))
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
    """Claim a key atomically. Return its run: `run_id`, or an earlier one within `within`."""
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
    """Return the newest run with this key, if any (and if it claimed the key since a moment)."""
    wanted = select(col(RunKeyRow.run_id)).where(
        col(RunKeyRow.playbook) == playbook, col(RunKeyRow.once_key) == once_key
    )
    return await session.scalar(
        wanted if since is None else wanted.where(col(RunKeyRow.at) >= since)
    )


async def holding_run(
    session: AsyncSession, playbook: str, once_key: str, since: datetime
) -> RunRow | None:
    """Return the run that claimed this key since a moment, if any."""
    run_id = await holder(session, playbook, once_key, since)
    return await session.get(RunRow, run_id) if run_id else None


async def claimed_at(session: AsyncSession, playbook: str, once_key: str) -> datetime | None:
    """Return when the newest run with this key claimed it."""
    return await session.scalar(
        select(col(RunKeyRow.at)).where(
            col(RunKeyRow.playbook) == playbook, col(RunKeyRow.once_key) == once_key
        )
    )


async def free(session: AsyncSession, run_id: str) -> None:
    """Free the key of a run, so that it covers no later alert."""
    await session.execute(delete(RunKeyRow).where(col(RunKeyRow.run_id) == run_id))


async def runs_since(session: AsyncSession, playbook: str, since: datetime) -> int:
    """Return how many live runs of a playbook alerts started since a moment, within its limit."""
    counted = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.playbook) == playbook,
            col(RunRow.mode) == Mode.LIVE,
            col(RunRow.created_at) >= since,
            col(RunRow.over_limit).is_(None),
            col(RunRow.status) != RunStatus.DEFERRED,
        )
    )
    return int(await session.scalar(counted) or 0)


async def open_runs_of(session: AsyncSession, source: str, severity: int, now: datetime) -> int:
    """Return how many live runs of a source, this severe or more, are open.

    Those that began more than an hour ago do not count: a run may wait for days.
    """
    counted = (
        select(func.count())
        .select_from(RunRow)
        .where(
            col(RunRow.source) == source,
            col(RunRow.mode) == Mode.LIVE,
            func.coalesce(col(RunRow.begun_at), col(RunRow.created_at)) >= now - _COUNTED_FOR,
            col(RunRow.severity) >= severity,
            col(RunRow.status).in_([status for status in RunStatus if status.open]),
        )
    )
    return int(await session.scalar(counted) or 0)


async def raw_of(session: AsyncSession, alert: AlertRow) -> bytes:
    """Return the body that the alert was sent in, byte for byte. Alerts of one body share it."""
    if alert.raw:
        return alert.raw
    wanted = select(col(AlertRow.raw)).where(
        col(AlertRow.raw_sha256) == alert.raw_sha256, func.length(col(AlertRow.raw)) > 0
    )
    return await session.scalar(wanted.limit(1)) or b""


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield slices that fit into one statement."""
    for start in range(0, len(values), _MAX_PARAMETERS):
        yield values[start : start + _MAX_PARAMETERS]
