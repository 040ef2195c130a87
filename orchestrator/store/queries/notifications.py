"""Queries on notifications, contacts, and one-time links, of which only the hash is stored."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.notification import Channel, NotificationKind, NotificationState
from orchestrator.store.dialect import insert
from orchestrator.store.search.conditions import in_order, notifications_where
from orchestrator.store.search.filters import NotificationFilter, Order
from orchestrator.store.tables import ContactRow, NotificationRow, ReplayRow
from orchestrator.store.tables.columns import is_literally

_MOST_RECIPIENTS = 500
_AFTER_THE_DECISION = (NotificationKind.CLOSED, NotificationKind.REPLY)
"""Kinds that are still sent when their approval is over."""


async def add(session: AsyncSession, rows: Sequence[NotificationRow]) -> None:
    """Add notifications to the outbox."""
    session.add_all(rows)
    await session.flush()


async def get(session: AsyncSession, id_: str, *, lock: bool = False) -> NotificationRow | None:
    """Return a notification; with `lock`, no other transaction changes it until this one ends."""
    wanted = select(NotificationRow).where(col(NotificationRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def claim(
    session: AsyncSession, now: datetime, lease: timedelta, limit: int
) -> list[NotificationRow]:
    """Return due notifications, which no other worker claims before `lease` has passed.

    After a crash another worker claims them then.
    """
    due = select(NotificationRow).where(_WAITING, col(NotificationRow.next_at) <= now)
    rows = list(
        await session.scalars(
            due.order_by(col(NotificationRow.next_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    for row in rows:
        row.next_at = now + lease
        row.attempts += 1
    return rows


async def has_due(session: AsyncSession, now: datetime) -> bool:
    """Return whether a notification is due."""
    due = select(col(NotificationRow.id)).where(_WAITING, col(NotificationRow.next_at) <= now)
    return await session.scalar(due.limit(1)) is not None


async def find_by_link(session: AsyncSession, token_hash: str) -> NotificationRow | None:
    """Return the notification whose link has this hash."""
    return await session.scalar(
        select(NotificationRow).where(col(NotificationRow.token_hash) == token_hash)
    )


async def use_link(session: AsyncSession, token_hash: str, now: datetime) -> bool:
    """Mark an unused link in time as used. Of two concurrent calls, one returns True."""
    unused = update(NotificationRow).where(
        col(NotificationRow.token_hash) == token_hash, col(NotificationRow.used_at).is_(None)
    )
    used = await session.execute(
        unused.where(col(NotificationRow.expires_at) > now).values(used_at=now)
    )
    return bool(getattr(used, "rowcount", 0))


async def restore_link(session: AsyncSession, token_hash: str) -> None:
    """Mark a link as unused, because nothing was decided by it."""
    await session.execute(
        update(NotificationRow)
        .where(col(NotificationRow.token_hash) == token_hash)
        .values(used_at=None)
    )


async def close(session: AsyncSession, about: str, now: datetime) -> list[NotificationRow]:
    """Cancel what was not sent and end unused links. Return Slack messages to be edited."""
    mine = update(NotificationRow).where(col(NotificationRow.about) == about)
    await session.execute(
        mine.where(
            col(NotificationRow.state) == NotificationState.WAITING,
            col(NotificationRow.kind).not_in(_AFTER_THE_DECISION),
        ).values(state=NotificationState.VOID)
    )
    await _end_links(session, col(NotificationRow.about) == about, now)
    sent = select(NotificationRow).where(
        col(NotificationRow.about) == about,
        col(NotificationRow.channel) == Channel.SLACK,
        col(NotificationRow.external_id).is_not(None),
    )
    rows = list(await session.scalars(sent.order_by(col(NotificationRow.created_at))))
    edited = {row.external_id for row in rows if row.kind is NotificationKind.CLOSED}
    return [
        row
        for row in rows
        if row.kind is not NotificationKind.CLOSED and row.external_id not in edited
    ]


async def end_links(session: AsyncSession, person: str, now: datetime) -> None:
    """End the unused links of a person, whose address changed or is gone."""
    await _end_links(session, col(NotificationRow.person) == person, now)


async def record_request(
    session: AsyncSession, channel: str, message_id: str, sent: int, body_sha256: str, now: datetime
) -> bool:
    """Record a signed request. Return whether it is the first of its kind."""
    row = {
        "source": channel,
        "message_id": message_id,
        "sent": sent,
        "body_sha256": body_sha256,
        "seen_at": now,
    }
    seen = await session.execute(insert(session, ReplayRow).on_conflict_do_nothing(), row)
    return bool(getattr(seen, "rowcount", 0))


async def list_page(
    session: AsyncSession,
    wanted: NotificationFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[NotificationRow]:
    """Return the notifications that follow `after`."""
    chosen = select(NotificationRow).where(*notifications_where(wanted))
    columns = (col(NotificationRow.created_at), col(NotificationRow.id))
    return list(await session.scalars(in_order(chosen, *columns, after, limit, order)))


async def list_notified(session: AsyncSession, ids: Sequence[str]) -> set[tuple[str, str]]:
    """Return who was notified of each of these subjects: its id and the person."""
    asked = (NotificationKind.ASKED, NotificationKind.REMINDER, NotificationKind.ESCALATED)
    wanted = select(col(NotificationRow.about), col(NotificationRow.person)).where(
        col(NotificationRow.about).in_(ids), col(NotificationRow.kind).in_(asked)
    )
    return {(about, person) for about, person in await session.execute(wanted)}


async def list_about(
    session: AsyncSession, about: str, kinds: Collection[NotificationKind]
) -> list[NotificationRow]:
    """Return the notifications about a subject, which no worker claims in this transaction."""
    wanted = select(NotificationRow).where(
        col(NotificationRow.about) == about, col(NotificationRow.kind).in_(kinds)
    )
    return list(await session.scalars(wanted.order_by(col(NotificationRow.id)).with_for_update()))


async def list_contacts(session: AsyncSession) -> list[ContactRow]:
    """Return all contacts, by name."""
    return list(
        await session.scalars(
            select(ContactRow).order_by(col(ContactRow.person)).limit(_MOST_RECIPIENTS)
        )
    )


async def find_by_slack_user(session: AsyncSession, user: str) -> list[ContactRow]:
    """Return the contacts with a Slack user: at most one, unless the table was edited by hand."""
    return list(
        await session.scalars(select(ContactRow).where(col(ContactRow.slack_user) == user).limit(2))
    )


async def _end_links(session: AsyncSession, whose: ColumnElement[bool], now: datetime) -> None:
    unused = update(NotificationRow).where(
        whose, col(NotificationRow.token_hash).is_not(None), col(NotificationRow.used_at).is_(None)
    )
    await session.execute(
        unused.where(col(NotificationRow.expires_at) > now).values(expires_at=now)
    )


_WAITING = is_literally(NotificationRow.state, NotificationState.WAITING)
