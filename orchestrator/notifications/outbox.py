"""The outbox: notifications are queued with their cause, and the worker sends them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.access import Permission
from orchestrator.domain.approval import gather_pause
from orchestrator.domain.digest import new_id
from orchestrator.domain.notification import Channel, NotificationKind
from orchestrator.notifications.contacts import ReachablePerson, list_reachable
from orchestrator.store.queries import approvals, notifications
from orchestrator.store.queries.approvals import batches
from orchestrator.store.tables import (
    ApprovalRow,
    ContactRow,
    KeyRow,
    NotificationRow,
    TaskRow,
)

_QUESTIONS = (NotificationKind.ASKED, NotificationKind.REMINDER, NotificationKind.ESCALATED)


async def notify_approvers(
    session: AsyncSession, approval: ApprovalRow, kind: NotificationKind, now: datetime
) -> None:
    """Queue a notification to everyone who may decide an approval.

    Of a batch, the first question is sent at once, and so is one that is more severe than all
    before. Others are gathered into one notification about the batch.
    """
    people = await list_reachable(session, Permission.APPROVAL_DECIDE, now)
    group = approval.deciding_group
    asked = [each for each in people if group is None or group in each.principal.groups]
    batch = approval.batch
    if batch is None or not await _is_gathered(session, approval, batch, kind):
        await notifications.add(session, _to_people(approval.id, kind, asked, now))
        return
    known = await notifications.list_about(session, batch, _QUESTIONS)
    new = []
    for row in _to_people(batch, kind, asked, now):
        mine = [each for each in known if (each.person, each.channel) == (row.person, row.channel)]
        # One that was claimed is composed already, and may not name this approval.
        if not any(each.is_gathering and each.kind is kind for each in mine):
            row.next_at = now + gather_pause(now, approval.expires_at, len(mine))
            new.append(row)
    await notifications.add(session, new)


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

    Those about its batch end with the last pending approval of it. Each edit is a notification of
    its own, so that it is retried until it succeeds.
    """
    approval = await approvals.get(session, approval_id)
    await _close(session, approval_id, now)
    if approval is not None and approval.batch is not None:
        await close_batch(session, approval.batch, now)


async def close_batch(session: AsyncSession, batch: str, now: datetime) -> None:
    """Close the notifications about a batch, unless an approval of it is pending."""
    if not await batches.count_pending(session, batch):
        await _close(session, batch, now)


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


async def _close(session: AsyncSession, about: str, now: datetime) -> None:
    shown = await notifications.close(session, about, now)
    await notifications.add(session, [edit_of(row, row.external_id, now) for row in shown])


async def _is_gathered(
    session: AsyncSession, approval: ApprovalRow, batch: str, kind: NotificationKind
) -> bool:
    """Return whether a notification waits for others about the batch of its approval."""
    if kind is NotificationKind.REMINDER:
        return await batches.count_pending(session, batch) > 1
    return not await batches.is_most_severe(session, approval)


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
