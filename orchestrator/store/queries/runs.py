"""Queries on runs, and on the playbook versions and alerts they start from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.store.audit_events import select_events
from orchestrator.store.search.conditions import in_order, runs_where
from orchestrator.store.search.filters import Order, RunFilter
from orchestrator.store.statements import runs as statements
from orchestrator.store.statements.statement import refresh_known
from orchestrator.store.tables import AlertRow, AuditEventRow, PlaybookRow, RunRow


async def get(session: AsyncSession, run_id: str, *, lock: bool = False) -> RunRow | None:
    """Return a run, locked until the transaction ends where asked."""
    wanted = select(RunRow).where(col(RunRow.id) == run_id)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def add(session: AsyncSession, run: RunRow) -> None:
    """Insert a run."""
    session.add(run)
    await session.flush()


async def undispatched(session: AsyncSession, limit: int) -> list[str]:
    """Return ids of runs that Temporal does not have: live before dry, then by severity and age."""
    wanted = select(col(RunRow.id)).where(
        _NOT_ENDED, col(RunRow.dispatched).is_(False), col(RunRow.status).in_(_OPEN)
    )
    return list(
        await session.scalars(
            wanted.order_by(
                col(RunRow.mode) != Mode.LIVE,
                col(RunRow.severity).desc(),
                col(RunRow.created_at),
            ).limit(limit)
        )
    )


async def severities(session: AsyncSession, run_ids: Sequence[str]) -> dict[str, int]:
    """Return the severities of runs by id; -1 for a dry run."""
    columns = (col(RunRow.id), col(RunRow.mode), col(RunRow.severity))
    found = await session.execute(select(*columns).where(col(RunRow.id).in_(run_ids)))
    return {id_: severity if mode is Mode.LIVE else -1 for id_, mode, severity in found}


async def deferred_by_source(session: AsyncSession) -> dict[str, tuple[int, datetime]]:
    """Return by source how many of its runs are deferred, and when the last one was."""
    counted = (
        select(col(RunRow.source), func.count(), func.max(col(RunRow.created_at)))
        .where(_NOT_ENDED, col(RunRow.status) == RunStatus.DEFERRED)
        .group_by(col(RunRow.source))
    )
    found: dict[str, tuple[int, datetime]] = {}
    for source, count_, last in await session.execute(counted):
        if source is not None:
            found[source] = count_, last
    return found


async def list_deferred(session: AsyncSession, source: str, limit: int) -> list[RunRow]:
    """Return deferred runs of a source, by severity and age."""
    wanted = select(RunRow).where(
        _NOT_ENDED, col(RunRow.source) == source, col(RunRow.status) == RunStatus.DEFERRED
    )
    ordered = wanted.order_by(col(RunRow.severity).desc(), col(RunRow.created_at))
    return list(await session.scalars(ordered.limit(limit)))


async def list_dispatched(session: AsyncSession, before: datetime, limit: int) -> list[RunRow]:
    """Return open runs that Temporal was given, created before a moment, oldest first."""
    wanted = select(RunRow).where(
        _NOT_ENDED,
        col(RunRow.dispatched).is_(True),
        col(RunRow.status).in_(_OPEN),
        col(RunRow.created_at) < before,
    )
    return list(await session.scalars(wanted.order_by(col(RunRow.created_at)).limit(limit)))


async def list_cancelling(session: AsyncSession, since: datetime, limit: int) -> list[RunRow]:
    """Return open runs that Temporal was given and that people wanted to end since a moment."""
    wanted = select(RunRow).where(
        _NOT_ENDED,
        col(RunRow.status).in_(_OPEN),
        col(RunRow.dispatched).is_(True),
        col(RunRow.cancel_requested_at) > since,
    )
    return list(await session.scalars(wanted.order_by(col(RunRow.id)).limit(limit)))


async def to_start(
    session: AsyncSession, run_ids: Sequence[str]
) -> list[tuple[RunRow, PlaybookRow | None, AlertRow | None]]:
    """Return the undispatched ones of these runs, with their playbook version and alert."""
    wanted = (
        select(RunRow, PlaybookRow, AlertRow)
        .outerjoin(
            PlaybookRow,
            (col(PlaybookRow.name) == col(RunRow.playbook))
            & (col(PlaybookRow.version) == col(RunRow.version)),
        )
        .outerjoin(AlertRow, col(AlertRow.id) == col(RunRow.alert_id))
        .where(
            col(RunRow.id).in_(run_ids),
            col(RunRow.dispatched).is_(False),
            col(RunRow.status).in_(_OPEN),
        )
    )
    return [(run, playbook, alert) for run, playbook, alert in await session.execute(wanted)]


async def mark_dispatched(session: AsyncSession, run_id: str, attempt: int) -> None:
    """Record that Temporal has an attempt."""
    await session.execute(
        update(RunRow)
        .where(col(RunRow.id) == run_id, col(RunRow.attempt) == attempt)
        .values(dispatched=True)
    )


async def begin(session: AsyncSession, run_id: str, attempt: int, execution: str | None) -> None:
    """Record that an attempt of an open run began, and which workflow of Temporal carries it out.

    The first one stays.
    """
    values = {"run": run_id, "of_attempt": attempt, "by_execution": execution}
    await statements.BEGIN_RUN.run(session, values)
    await refresh_known(session, RunRow, run_id)


async def set_status(
    session: AsyncSession,
    run_id: str,
    attempt: int,
    status: RunStatus,
    *,
    error: str | None = None,
    ended_at: datetime | None = None,
) -> bool:
    """Set the status of an open run, if this is its attempt. Return whether it did."""
    values = _new_status(run_id, attempt, status, error, ended_at)
    changed = bool(await statements.SET_RUN_STATUS.run(session, values))
    await refresh_known(session, RunRow, run_id)
    return changed


async def end(
    session: AsyncSession,
    run_id: str,
    attempt: int,
    status: RunStatus,
    error: str | None,
    now: datetime,
    execution: str | None,
) -> bool:
    """End an open run, if this is its attempt and its workflow. Return whether it did.

    `execution`: as `begin`; None: any.
    """
    values = _new_status(run_id, attempt, status, error, now)
    ended = bool(await statements.END_RUN.run(session, {**values, "by_execution": execution}))
    await refresh_known(session, RunRow, run_id)
    return ended


def _new_status(
    run_id: str, attempt: int, status: RunStatus, error: str | None, ended_at: datetime | None
) -> dict[str, Any]:
    return {
        "run": run_id,
        "of_attempt": attempt,
        "new_status": status,
        "new_error": error,
        "new_ended_at": ended_at,
    }


async def list_page(
    session: AsyncSession,
    wanted: RunFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[RunRow]:
    """Return the runs that follow `after`."""
    chosen = select(RunRow).where(*runs_where(wanted, await _acted_on(session, wanted.person)))
    columns = (col(RunRow.created_at), col(RunRow.id))
    return list(await session.scalars(in_order(chosen, *columns, after, limit, order)))


async def count(session: AsyncSession, wanted: RunFilter) -> int:
    """Return how many runs a filter fits."""
    where = runs_where(wanted, await _acted_on(session, wanted.person))
    counted = select(func.count()).select_from(RunRow).where(*where)
    return int(await session.scalar(counted) or 0)


async def _acted_on(session: AsyncSession, person: str | None) -> set[str]:
    """Return the runs that a person retried or cancelled."""
    if person is None:
        return set()
    acted = await select_events(
        session,
        col(AuditEventRow.actor) == f"person:{person}",
        col(AuditEventRow.kind).in_([EventKind.RUN_RETRIED, EventKind.RUN_CANCEL_REQUESTED]),
    )
    return {event.record["subject"] for event in acted}


async def get_alert(session: AsyncSession, run_id: str) -> AlertRow | None:
    """Return the alert that started a run."""
    return await session.scalar(
        select(AlertRow)
        .join(RunRow, col(RunRow.alert_id) == col(AlertRow.id))
        .where(col(RunRow.id) == run_id)
    )


async def joined_alerts(
    session: AsyncSession, incident_id: str, since: datetime, without: str | None, limit: int
) -> list[AlertRow]:
    """Return the newest alerts that joined an incident after a moment, oldest first."""
    wanted = select(AlertRow).where(
        col(AlertRow.incident_id) == incident_id, col(AlertRow.received_at) > since
    )
    if without is not None:
        wanted = wanted.where(col(AlertRow.id) != without)
    newest = await session.scalars(
        wanted.order_by(col(AlertRow.received_at).desc(), col(AlertRow.id).desc()).limit(limit)
    )
    return list(newest)[::-1]


async def list_waiting(session: AsyncSession, incident_ids: Sequence[str]) -> list[tuple[str, int]]:
    """Return the waiting runs of incidents with their attempts."""
    waits = [col(RunRow.status) == RunStatus.WAITING, col(RunRow.dispatched).is_(True)]
    rows = await session.execute(
        select(col(RunRow.id), col(RunRow.attempt))
        .where(col(RunRow.incident_id).in_(incident_ids), *waits)
        .limit(100)
    )
    return [(row[0], row[1]) for row in rows]


async def get_playbook(session: AsyncSession, name: str, version: int | None) -> PlaybookRow | None:
    """Return a published version; None: the newest that is live and not retired."""
    wanted = select(PlaybookRow).where(col(PlaybookRow.name) == name)
    if version is None:
        wanted = (
            wanted.where(col(PlaybookRow.retired).is_(False), col(PlaybookRow.stage) == "live")
            .order_by(col(PlaybookRow.version).desc())
            .limit(1)
        )
    else:
        wanted = wanted.where(col(PlaybookRow.version) == version)
    return await session.scalar(wanted)


async def count_by_status(session: AsyncSession) -> dict[str, int]:
    """Count the runs that have not ended, by status."""
    rows = await session.execute(
        select(col(RunRow.status), func.count()).where(_NOT_ENDED).group_by(col(RunRow.status))
    )
    return {row[0]: row[1] for row in rows}


_OPEN = [status for status in RunStatus if status.open]
_NOT_ENDED = col(RunRow.ended_at).is_(None)
"""What the index of open runs is of, besides a status that is not over."""
