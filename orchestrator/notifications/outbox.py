"""The outbox: notifications are queued with their cause, and the worker sends them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.access import Permission
from orchestrator.domain.digest import new_id
from orchestrator.domain.notification import Channel, NotificationKind
from orchestrator.notifications.contacts import ReachablePerson, list_reachable
from orchestrator.store.queries import notifications
from orchestrator.store.tables import (
    ApprovalRow,
    ContactRow,
    KeyRow,
    NotificationRow,
    TaskRow,
)


async def notify_approvers(
    session: AsyncSession, approval: ApprovalRow, kind: NotificationKind, now: datetime
) -> None:
    """Queue a notification to everyone who may decide an approval."""
    people = await list_reachable(session, Permission.APPROVAL_DECIDE, now)
    group = approval.by_group
    asked = [each for each in people if group is None or group in each.principal.groups]
    await notifications.add(session, _to_people(approval.id, kind, asked, now))


async def notify_task(session: AsyncSession, task: TaskRow, now: datetime) -> None:
    """Queue a notification of a task to its group, or to the admins if it has no group."""
    group = task.to_group
    permission = Permission.ADMIN if group is None else Permission.READ
    people = await list_reachable(session, permission, now)
    concerned = [each for each in people if group is None or group in each.principal.groups]
    await notifications.add(session, _to_people(task.id, NotificationKind.TASK, concerned, now))


async def notify_key(
    session: AsyncSession, key: KeyRow, contact: ContactRow | None, now: datetime
) -> None:
    """Queue a notification of a new key to its person, who has a contact or none."""
    if contact is None:
        return
    ways = ((Channel.EMAIL, contact.email), (Channel.SLACK, contact.slack_user))
    rows = [
        _notification(key.id, NotificationKind.KEY, contact.person, channel, now)
        for channel, address in ways
        if address
    ]
    await notifications.add(session, rows)


async def close_notifications(session: AsyncSession, approval_id: str, now: datetime) -> None:
    """Cancel unsent notifications, end unused links, and queue edits of the Slack messages.

    Each edit is a notification of its own, so that it is retried until it succeeds.
    """
    shown = await notifications.close(session, approval_id, now)
    edits = [edit_of(row, row.external_id, now) for row in shown]
    await notifications.add(session, edits)


async def queue_reply(
    session: AsyncSession, approval_id: str, conversation: str, user: str, text: str, now: datetime
) -> None:
    """Queue a Slack message that only the user who clicked sees."""
    reply = _notification(approval_id, NotificationKind.REPLY, user, Channel.SLACK, now)
    reply.reply_to = f"{conversation}:{user}"
    reply.reply_text = text
    await notifications.add(session, [reply])


def edit_of(row: NotificationRow, external_id: str | None, now: datetime) -> NotificationRow:
    """Return a notification that replaces a sent Slack message by the outcome."""
    edit = _notification(row.about, NotificationKind.CLOSED, row.person, Channel.SLACK, now)
    edit.external_id = external_id
    return edit


def _to_people(
    about: str, kind: NotificationKind, people: Iterable[ReachablePerson], now: datetime
) -> list[NotificationRow]:
    return [
        _notification(about, kind, each.person, channel, now)
        for each in people
        for channel, address in ((Channel.EMAIL, each.email), (Channel.SLACK, each.slack_user))
        if address
    ]


def _notification(
    about: str, kind: NotificationKind, person: str, channel: Channel, now: datetime
) -> NotificationRow:
    return NotificationRow(
        id=new_id("ntc"),
        about=about,
        person=person,
        channel=channel,
        kind=kind,
        next_at=now,
        created_at=now,
    )
