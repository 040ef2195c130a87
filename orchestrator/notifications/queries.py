"""Notifications, as the API shows them: without addresses and links."""

from __future__ import annotations

from datetime import datetime

from pydantic import ConfigDict, Field

from orchestrator.domain.model import Frozen
from orchestrator.domain.notification import Channel, NotificationKind, NotificationState
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import notifications
from orchestrator.store.search.filters import NotificationFilter, Order
from orchestrator.store.tables import NotificationRow

EVERY_NOTIFICATION = NotificationFilter()


class NotificationView(Frozen):
    """A message to a person about an approval or a task."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "ntc_1f0c",
                "about": "apr_1f0c",
                "person": "ann",
                "channel": "email",
                "kind": "asked",
                "state": "failed",
                "attempts": 24,
                "error": "the mail server refuses the recipient (550)",
                "created_at": "2026-01-01T12:00:01Z",
                "sent_at": None,
                "retry_at": None,
            }
        }
    )

    id: str
    about: str = Field(description="The id of the approval, the batch of approvals, or the task.")
    person: str = Field(description="The recipient; of a reply, the Slack user.")
    channel: Channel
    kind: NotificationKind
    state: NotificationState
    attempts: int
    error: str | None
    created_at: datetime
    sent_at: datetime | None
    retry_at: datetime | None = Field(description="The time of the next attempt.")


async def list_notifications(
    rt: Runtime,
    wanted: NotificationFilter = EVERY_NOTIFICATION,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[NotificationView]:
    """Return notifications. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await notifications.list_page(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
    last = (rows[-1].created_at, rows[-1].id) if rows else None
    return make_page([_view(row) for row in rows], limit, last)


def _view(row: NotificationRow) -> NotificationView:
    return NotificationView(
        id=row.id,
        about=row.about,
        person=row.person,
        channel=row.channel,
        kind=row.kind,
        state=row.state,
        attempts=row.attempts,
        error=row.error,
        created_at=row.created_at,
        sent_at=row.sent_at,
        retry_at=row.next_at if row.state is NotificationState.WAITING else None,
    )
