"""Which messages went to whom, and which did not come off? For people who ask why nobody answered."""

from __future__ import annotations

from typing import Any

from orchestrator.runtime import Runtime
from orchestrator.store.paging import after, bounded, page, said
from orchestrator.store.queries import notifications
from orchestrator.store.tables import NotificationRow


async def list_notifications(
    rt: Runtime,
    *,
    state: str | None = None,
    about: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> dict[str, Any]:
    """Messages, newest first, without addresses and links. Raises Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await notifications.page(
            session, after=after(cursor), limit=bounded(limit), state=state, about=about
        )
    return page(
        [_view(row) for row in rows], limit, (rows[-1].created_at, rows[-1].id) if rows else None
    )


def _view(row: NotificationRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "about": row.about,
        "person": row.person,
        "channel": row.channel,
        "kind": row.kind,
        "state": row.state,
        "attempts": row.attempts,
        "error": row.error,
        "created_at": said(row.created_at),
        "sent_at": said(row.sent_at),
        "next_at": said(row.next_at) if row.state == "waiting" else None,
    }
