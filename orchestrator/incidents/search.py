"""Search for a value: what alerts name it, and what was done about it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ConfigDict, Field

from orchestrator.domain.access import Permission
from orchestrator.domain.audit_event import StoredEvent
from orchestrator.domain.model import Frozen
from orchestrator.runtime import Runtime
from orchestrator.store.search import find
from orchestrator.store.search.names import parse_covering, parse_names
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    ContainmentRow,
    RunRow,
)

T = TypeVar("T")

_FOUND: dict[str, Any] = {
    "id": "run_019a8c7d21f04b6c1e2f3a4b5c6d",
    "title": "c2-beacon-containment version 3",
    "state": "completed",
    "created_at": "2026-01-01T12:00:00Z",
}


class FoundItem(Frozen):
    """One thing that concerns the value."""

    model_config = ConfigDict(json_schema_extra={"example": _FOUND})

    id: str
    title: str
    state: str | None = Field(description="Null for alerts and audit events, which have none.")
    created_at: datetime


class SearchResult(Frozen):
    """What is known of a value, by kind, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "value": "198.51.100.7",
                "types": ["address", "host"],
                "alerts": [],
                "runs": [_FOUND],
                "approvals": [],
                "containments": [],
                "audit": None,
                "more": [],
            }
        }
    )

    value: str
    types: tuple[str, ...] = Field(description="The types as which the value was looked up.")
    alerts: tuple[FoundItem, ...]
    runs: tuple[FoundItem, ...]
    approvals: tuple[FoundItem, ...] | None = Field(
        description="Null without the permission approval:read."
    )
    containments: tuple[FoundItem, ...] = Field(
        description="Of the value, and of networks and domains around it."
    )
    audit: tuple[FoundItem, ...] | None = Field(
        description="Events about all of these. Null without the permission audit:read."
    )
    more: tuple[str, ...] = Field(description="The kinds of which only the newest are listed.")


async def search(
    rt: Runtime, value: str, permissions: Collection[Permission], limit: int = 20
) -> SearchResult:
    """Return what concerns a value, or `TYPE:VALUE`, in any spelling. Raise Invalid."""
    names, around = parse_names(value), parse_covering(value)
    ask = limit + 1  # to know whether there is more
    async with rt.store.read() as session:
        alerts = await find.find_alerts(session, names, ask)
        runs = await find.find_runs(session, names, ask)
        approvals = await find.find_approvals(session, names, ask)
        containments = await find.find_containments(session, around, ask)
        subjects = [
            *(alert.id for alert in alerts),
            *(run.id for run in runs),
            *(approval.id for approval in approvals),
            *(containment.key for containment in containments),
        ]
        events = await find.find_events(session, subjects, [value.strip()], ask)
    if Permission.APPROVAL_READ not in permissions:
        approvals = []
    if Permission.AUDIT_READ not in permissions:
        events = []
    groups: dict[str, Sequence[object]] = {
        "alerts": alerts,
        "runs": runs,
        "approvals": approvals,
        "containments": containments,
        "audit": events,
    }
    return SearchResult(
        value=value.strip(),
        types=tuple(dict.fromkeys(str(name.type) for name in names)),
        alerts=_items(alerts, _alert, limit),
        runs=_items(runs, _run, limit),
        approvals=_items(approvals, _approval, limit)
        if Permission.APPROVAL_READ in permissions
        else None,
        containments=_items(containments, _containment, limit),
        audit=_items(events, _event, limit) if Permission.AUDIT_READ in permissions else None,
        more=tuple(name for name, found in groups.items() if len(found) > limit),
    )


def _items(rows: Sequence[T], item: Callable[[T], FoundItem], limit: int) -> tuple[FoundItem, ...]:
    return tuple(item(row) for row in rows[:limit])


def _alert(row: AlertRow) -> FoundItem:
    return FoundItem(id=row.id, title=row.title, state=None, created_at=row.received_at)


def _run(row: RunRow) -> FoundItem:
    title = f"{row.playbook} version {row.version}"
    return FoundItem(id=row.id, title=title, state=row.status, created_at=row.created_at)


def _approval(row: ApprovalRow) -> FoundItem:
    return FoundItem(id=row.id, title=row.question, state=row.state, created_at=row.asked_at)


def _containment(row: ContainmentRow) -> FoundItem:
    title = f"{row.action} of {row.target} on {row.connection}"
    return FoundItem(id=row.key, title=title, state=row.state, created_at=row.since)


def _event(event: StoredEvent) -> FoundItem:
    record = event.record
    title = f"{record['kind']} of {record['subject']} by {record['actor']}"
    at = datetime.fromisoformat(record["time"])
    return FoundItem(id=record["id"], title=title, state=None, created_at=at)
