"""How do messages to people and the one-time links in them lie in the store? One row per message; of a link only its hash."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import ContactRow, KeyRow, NotificationRow, ReplayRow

_MOST_RECIPIENTS = 500


async def add(session: AsyncSession, rows: Sequence[NotificationRow]) -> None:
    """Puts messages into the outbox."""
    session.add_all(rows)
    await session.flush()


async def get(session: AsyncSession, id_: str, *, lock: bool = False) -> NotificationRow | None:
    """One message; with `lock`, nobody else changes it until this transaction ends."""
    wanted = select(NotificationRow).where(col(NotificationRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def claim(
    session: AsyncSession, now: datetime, lease: timedelta, limit: int
) -> list[NotificationRow]:
    """Messages that are due; for the time of the lease no other worker takes them. A worker that dies leaves them to the next one."""
    due = select(NotificationRow).where(
        col(NotificationRow.state) == "waiting", col(NotificationRow.next_at) <= now
    )
    rows = list(
        await session.scalars(
            due.order_by(col(NotificationRow.next_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )
    for row in rows:
        row.next_at, row.attempts = now + lease, row.attempts + 1
    return rows


async def any_due(session: AsyncSession, now: datetime) -> bool:
    """Whether there is something to send."""
    due = select(col(NotificationRow.id)).where(
        col(NotificationRow.state) == "waiting", col(NotificationRow.next_at) <= now
    )
    return await session.scalar(due.limit(1)) is not None


async def by_token(session: AsyncSession, token_hash: str) -> NotificationRow | None:
    """The message whose link has this hash."""
    return await session.scalar(
        select(NotificationRow).where(col(NotificationRow.token_hash) == token_hash)
    )


async def use(session: AsyncSession, token_hash: str, now: datetime) -> bool:
    """Marks a link as used, if it is unused and in time. Of two at the same instant, exactly one is told True."""
    unused = update(NotificationRow).where(
        col(NotificationRow.token_hash) == token_hash, col(NotificationRow.used_at).is_(None)
    )
    used = await session.execute(
        unused.where(col(NotificationRow.expires_at) > now).values(used_at=now)
    )
    return bool(getattr(used, "rowcount", 0))


async def give_back(session: AsyncSession, token_hash: str) -> None:
    """Nothing was decided by this link: it may be used again."""
    await session.execute(
        update(NotificationRow)
        .where(col(NotificationRow.token_hash) == token_hash)
        .values(used_at=None)
    )


async def close(session: AsyncSession, about: str, now: datetime) -> list[NotificationRow]:
    """Voids what was not sent and ends links that were not used; the Slack messages that are to be edited."""
    mine = update(NotificationRow).where(col(NotificationRow.about) == about)
    await session.execute(
        mine.where(
            col(NotificationRow.state) == "waiting", col(NotificationRow.kind) != "closed"
        ).values(state="void")
    )
    await _end_links(session, col(NotificationRow.about) == about, now)
    sent = select(NotificationRow).where(
        col(NotificationRow.about) == about,
        col(NotificationRow.channel) == "slack",
        col(NotificationRow.external_id).is_not(None),
    )
    rows = list(await session.scalars(sent.order_by(col(NotificationRow.created_at))))
    edited = {row.external_id for row in rows if row.kind == "closed"}
    return [row for row in rows if row.kind != "closed" and row.external_id not in edited]


async def end_links_of(session: AsyncSession, person: str, now: datetime) -> None:
    """Ends the links that a person has not used: their address is another now, or is gone."""
    await _end_links(session, col(NotificationRow.person) == person, now)


async def first_time(
    session: AsyncSession, channel: str, message_id: str, sent: int, body_sha256: str, now: datetime
) -> bool:
    """Whether a signed request was not seen before; from now on it was."""
    row = {
        "source": channel,
        "message_id": message_id,
        "sent": sent,
        "body_sha256": body_sha256,
        "seen_at": now,
    }
    seen = await session.execute(insert(session, ReplayRow).on_conflict_do_nothing(), row)
    return bool(getattr(seen, "rowcount", 0))


async def page(
    session: AsyncSession,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    state: str | None = None,
    about: str | None = None,
) -> list[NotificationRow]:
    """Messages, newest first, older than `after`."""
    wanted = select(NotificationRow)
    if state is not None:
        wanted = wanted.where(col(NotificationRow.state) == state)
    if about is not None:
        wanted = wanted.where(col(NotificationRow.about) == about)
    if after is not None:
        at, last = after
        created = col(NotificationRow.created_at)
        wanted = wanted.where((created < at) | ((created == at) & (col(NotificationRow.id) < last)))
    return list(
        await session.scalars(
            wanted.order_by(
                col(NotificationRow.created_at).desc(), col(NotificationRow.id).desc()
            ).limit(limit)
        )
    )


async def contacts(session: AsyncSession) -> list[ContactRow]:
    """Everybody who can be reached."""
    return list(
        await session.scalars(
            select(ContactRow).order_by(col(ContactRow.person)).limit(_MOST_RECIPIENTS)
        )
    )


async def contacts_in_slack(session: AsyncSession, user: str) -> list[ContactRow]:
    """Who is behind a Slack user: nobody or one, unless somebody wrote into the table by hand."""
    return list(
        await session.scalars(select(ContactRow).where(col(ContactRow.slack_user) == user).limit(2))
    )


async def live_keys(session: AsyncSession, persons: Sequence[str], now: datetime) -> list[KeyRow]:
    """The keys of these people that open something now."""
    wanted = select(KeyRow).where(col(KeyRow.person).in_(persons), col(KeyRow.revoked_at).is_(None))
    alive = or_(col(KeyRow.expires_at).is_(None), col(KeyRow.expires_at) > now)
    return list(
        await session.scalars(wanted.where(alive).order_by(col(KeyRow.created_at), col(KeyRow.id)))
    )


async def _end_links(session: AsyncSession, whose: object, now: datetime) -> None:
    unused = update(NotificationRow).where(
        whose, col(NotificationRow.token_hash).is_not(None), col(NotificationRow.used_at).is_(None)
    )  # type: ignore[arg-type]
    await session.execute(
        unused.where(col(NotificationRow.expires_at) > now).values(expires_at=now)
    )
