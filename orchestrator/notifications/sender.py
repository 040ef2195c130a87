"""How does a message get from the outbox to a person? Claimed by one worker, sent, and tried again for hours where it does not come off."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.digest import new_id
from orchestrator.domain.errors import Rejected, TocsinError, Unavailable, Unknown
from orchestrator.notifications import compose
from orchestrator.notifications.compose import Outgoing
from orchestrator.runtime import Runtime
from orchestrator.store.queries import notifications
from orchestrator.store.tables import NotificationRow

EVERY_SECONDS = 1.0
MOST = 10
"""Messages at once."""
LEASE = timedelta(minutes=3)
"""For which a worker has a message to itself; sending takes less, and after a crash another worker takes it."""
GIVE_UP = timedelta(hours=6)
_FIRST, _LONGEST = timedelta(seconds=20), timedelta(minutes=15)
_PATIENCE_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def send_until(rt: Runtime, stop: asyncio.Event) -> None:
    """Sends what is due until told to stop. Outages are waited out."""
    while not stop.is_set():
        try:
            await send_due(rt)
        except (TocsinError, SQLAlchemyError, RuntimeError, OSError) as error:
            _log.warning("sending failed, and is tried again", error=type(error).__name__)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY_SECONDS)


async def send_due(rt: Runtime) -> int:
    """One round; how many messages were tried."""
    now = rt.clock()
    async with rt.store.read() as session:
        if not await notifications.any_due(session, now):
            return 0
    async with rt.store.write() as session:
        rows = await notifications.claim(session, now, LEASE, MOST)
        prepared = [await compose.prepare(rt, session, row, now) for row in rows]
    outgoing = [each for each in prepared if each is not None]
    await asyncio.gather(*(_send(rt, each) for each in outgoing))
    return len(outgoing)


async def _send(rt: Runtime, outgoing: Outgoing) -> None:
    """Whatever happens is kept, so that one message never holds up another."""
    failed: TocsinError | None = None
    shown: str | None = None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            shown = await compose.deliver(rt, outgoing)
    except TocsinError as error:
        failed = error
    except TimeoutError:
        failed = Unavailable("it took too long")
    except Exception as error:  # noqa: BLE001 - a message that breaks our code is kept as failed, not tried each second
        failed = Rejected(f"it cannot be written ({type(error).__name__})")
    async with rt.store.write() as session:
        row = await notifications.get(session, outgoing.notification_id, lock=True)
        if row is not None and failed is None:
            await _sent(session, row, shown, rt.clock())
        elif row is not None and failed is not None:
            await _failed(session, row, failed, rt.clock())


async def _sent(
    session: AsyncSession, row: NotificationRow, shown: str | None, now: datetime
) -> None:
    was_closed = row.state == "void"  # answered while we were sending
    row.state, row.sent_at, row.error = "sent", now, None
    row.external_id = shown or row.external_id
    if was_closed and shown is not None:
        edit = NotificationRow(
            id=new_id("ntc"),
            about=row.about,
            person=row.person,
            channel="slack",
            kind="closed",
            next_at=now,
            created_at=now,
        )
        edit.external_id = shown
        await notifications.add(session, [edit])
    await _tell(session, EventKind.NOTIFICATION_SENT, row, now)


async def _failed(
    session: AsyncSession, row: NotificationRow, error: TocsinError, now: datetime
) -> None:
    """Tried again later, in growing steps, unless it is refused for good or too old."""
    row.error = str(error)[:1000]
    if row.state != "waiting":
        return
    pause = min(_FIRST * 2 ** min(row.attempts - 1, 20), _LONGEST)
    row.next_at = now + max(
        pause, (error.retry_after if isinstance(error, Unavailable) else None) or pause
    )
    if isinstance(error, (Unavailable, Unknown)) and row.next_at < row.created_at + GIVE_UP:
        return
    row.state = "failed"
    _log.error(
        "a message to a person could not be sent",
        notification=row.id,
        about=row.about,
        channel=row.channel,
        reason=row.error,
    )
    await _tell(session, EventKind.NOTIFICATION_FAILED, row, now)


async def _tell(
    session: AsyncSession, kind: EventKind, row: NotificationRow, now: datetime
) -> None:
    """Without address and link."""
    told = {
        "notification": row.id,
        "person": row.person,
        "channel": row.channel,
        "kind": row.kind,
        "attempts": row.attempts,
        "error": row.error,
    }
    await trail.record(session, kind, actor="system", subject=row.about, data=told, now=now)
