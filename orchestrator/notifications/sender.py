"""The sender: claims notifications that are due, sends them, and retries for hours."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import Rejected, TocsinError, Unavailable, Unknown
from orchestrator.domain.notification import NotificationKind, NotificationState
from orchestrator.notifications import compose
from orchestrator.notifications.compose import Outgoing
from orchestrator.notifications.outbox import edit_of
from orchestrator.runtime import Runtime
from orchestrator.store.queries import notifications
from orchestrator.store.tables import NotificationRow

INTERVAL_SECONDS = 1.0
BATCH = 10
"""The most notifications that are sent at once."""
CLAIM = timedelta(minutes=3)
"""How long a worker has a notification to itself. After a crash another worker takes it then."""
GIVE_UP = timedelta(hours=6)
GIVE_UP_REPLY = timedelta(minutes=5)
"""A reply to a click is of no use later."""
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=20), timedelta(minutes=15)
_TIMEOUT_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def send_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Send notifications that are due until `stop` is set. Outages are waited out."""
    while not stop.is_set():
        try:
            await send_due(rt)
        except (TocsinError, SQLAlchemyError, RuntimeError, OSError) as error:
            _log.warning("notifications not sent, will retry", error=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), INTERVAL_SECONDS)


async def send_due(rt: Runtime) -> int:
    """Send one batch of notifications that are due. Return how many were attempted."""
    now = rt.clock()
    async with rt.store.read() as session:
        if not await notifications.has_due(session, now):
            return 0
    async with rt.store.write() as session:
        rows = await notifications.claim(session, now, CLAIM, BATCH)
        prepared = [await compose.prepare(rt, session, row, now) for row in rows]
    outgoing = [each for each in prepared if each is not None]
    await asyncio.gather(*(_send(rt, each) for each in outgoing))
    return len(outgoing)


async def _send(rt: Runtime, outgoing: Outgoing) -> None:
    """Send one message, and record any failure, so that it never delays another message."""
    failure: TocsinError | None = None
    external_id: str | None = None
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            external_id = await compose.send(rt, outgoing)
    except TocsinError as error:
        failure = error
    except TimeoutError:
        failure = Unavailable(f"no reply within {_TIMEOUT_SECONDS:.0f} s")
    except Exception as error:  # noqa: BLE001 - a message that breaks the code must not be retried each second
        failure = Rejected(f"the message cannot be composed ({type(error).__name__})")
    async with rt.store.write() as session:
        row = await notifications.get(session, outgoing.notification_id, lock=True)
        if row is None:
            return
        if failure is None:
            await _record_sent(session, row, external_id, rt.clock())
        else:
            await _record_failure(session, row, failure, rt.clock())


async def _record_sent(
    session: AsyncSession, row: NotificationRow, external_id: str | None, now: datetime
) -> None:
    was_canceled = row.state is NotificationState.VOID  # its subject ended while it was sent
    row.mark_sent(now, external_id)
    if was_canceled and external_id is not None:
        await notifications.add(session, [edit_of(row, external_id, now)])
    await _audit(session, EventKind.NOTIFICATION_SENT, row, now)


async def _record_failure(
    session: AsyncSession, row: NotificationRow, error: TocsinError, now: datetime
) -> None:
    """Schedule the next attempt, unless the message was refused for good or is too old."""
    row.error = str(error)[:1000]
    if row.state is not NotificationState.WAITING:
        return
    pause = min(_FIRST_PAUSE * 2 ** min(row.attempts - 1, 20), _LONGEST_PAUSE)
    demanded = error.retry_after if isinstance(error, Unavailable) else None
    row.next_at = now + max(pause, demanded or pause)
    give_up = GIVE_UP_REPLY if row.kind is NotificationKind.REPLY else GIVE_UP
    if isinstance(error, Unavailable | Unknown) and row.next_at < row.created_at + give_up:
        return
    row.mark_failed()
    _log.error(
        "notification failed",
        notification_id=row.id,
        about=row.about,
        channel=row.channel.value,
        error=row.error,
    )
    await _audit(session, EventKind.NOTIFICATION_FAILED, row, now)


async def _audit(
    session: AsyncSession, kind: EventKind, row: NotificationRow, now: datetime
) -> None:
    """Record an event without address and link."""
    details = {
        "notification": row.id,
        "person": row.person,
        "channel": row.channel,
        "kind": row.kind,
        "attempts": row.attempts,
        "error": row.error,
    }
    await trail.record(session, kind, actor="system", subject=row.about, data=details, now=now)
