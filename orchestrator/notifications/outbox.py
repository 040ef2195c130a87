"""Who is to hear of a question or a task? Put into the outbox in the transaction of what it tells of; the worker sends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.domain.access import Permission
from orchestrator.domain.digest import new_id
from orchestrator.notifications.contacts import Reachable, reachable
from orchestrator.store.queries import notifications
from orchestrator.store.tables import ApprovalRow, NotificationRow, TaskRow

Kind = Literal["asked", "reminder", "escalated", "closed"]


async def tell(
    session: AsyncSession, approval: ApprovalRow | Mapping[str, Any], kind: Kind, now: datetime
) -> None:
    """Tells all who may answer, or (`closed`) takes back what was told: unsent messages, unused links, buttons."""
    id_, by_group = (
        (approval.id, approval.by_group)
        if isinstance(approval, ApprovalRow)
        else (approval["id"], approval["by_group"])
    )
    if kind == "closed":
        await _close(session, id_, now)
        return
    people = await reachable(session, Permission.APPROVAL_DECIDE, now)
    asked = [each for each in people if by_group is None or by_group in each.principal.groups]
    await notifications.add(session, _messages(id_, kind, asked, now))


async def notify_task(
    session: AsyncSession, task: TaskRow | Mapping[str, Any], now: datetime
) -> None:
    """Tells those in the task's group; without a group, those who administer Tocsin."""
    id_, group = (
        (task.id, task.to_group) if isinstance(task, TaskRow) else (task["id"], task["to_group"])
    )
    people = await reachable(session, Permission.ADMIN if group is None else Permission.READ, now)
    concerned = [each for each in people if group is None or group in each.principal.groups]
    await notifications.add(session, _messages(id_, "task", concerned, now))


async def _close(session: AsyncSession, about: str, now: datetime) -> None:
    """What was sent by Slack is edited, by a message of its own: the sending of it is tried until it comes off."""
    shown = await notifications.close(session, about, now)
    edits = [_message(about, "closed", row.person, "slack", now) for row in shown]
    for edit, row in zip(edits, shown, strict=True):
        edit.external_id = row.external_id
    await notifications.add(session, edits)


def _messages(
    about: str, kind: str, people: Iterable[Reachable], now: datetime
) -> list[NotificationRow]:
    return [
        _message(about, kind, each.person, channel, now)
        for each in people
        for channel, address in (("email", each.email), ("slack", each.slack_user))
        if address
    ]


def _message(about: str, kind: str, person: str, channel: str, now: datetime) -> NotificationRow:
    return NotificationRow(
        id=new_id("ntc"),
        about=about,
        person=person,
        channel=channel,
        kind=kind,
        next_at=now,
        created_at=now,
    )
