"""Rejected deliveries as the API returns them, and what a replay came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.domain.alert import RejectionReason, RejectionState
from orchestrator.domain.model import Frozen
from orchestrator.intake.answers import Accepted
from orchestrator.intake.batch import RejectedItem
from orchestrator.store.tables import RejectedRow

_EXAMPLE: dict[str, Any] = {
    "id": "rej_019a8c7d21f04b6c1e2f3a4b5c6d",
    "source": "siem",
    "product": "wazuh",
    "reason": "unreadable",
    "status": 422,
    "detail": "wazuh: $.rule is missing; is this an alert of Wazuh 4 as in alerts.json?",
    "items": [],
    "body_sha256": "6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    "bytes": 36,
    "content_type": "application/json",
    "content_encoding": "",
    "seen": 1,
    "state": "kept",
    "created_at": "2026-01-01T12:00:00Z",
    "last_seen_at": "2026-01-01T12:00:00Z",
    "tried_at": None,
}


class RejectedDelivery(Frozen):
    """A delivery that was not accepted, or not completely. Its body is at `/body`."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str
    source: str
    product: str
    reason: RejectionReason
    status: int = Field(description="The HTTP status of the answer.")
    detail: str = Field(description="What is wrong, as the sender was answered.")
    items: list[RejectedItem] = Field(description="The items of a batch that could not be read.")
    body_sha256: str = Field(description="Of the body as sent; empty where it was too large.")
    bytes: int
    content_type: str
    content_encoding: str
    seen: int = Field(description="How many times the same body was sent.")
    state: RejectionState = Field(description="After a complete replay, the body is deleted.")
    created_at: datetime
    last_seen_at: datetime
    tried_at: datetime | None = Field(description="When it was last replayed.")

    @classmethod
    def of(cls, row: RejectedRow) -> RejectedDelivery:
        """Return the view of a row, whose body may not be loaded."""
        names = cls.model_fields.keys() - {"created_at"}
        return cls(**{name: getattr(row, name) for name in names}, created_at=row.received_at)


class Replay(Frozen):
    """What the replay of one delivery came to."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "rej_019a8c7d21f04b6c1e2f3a4b5c6d",
                "state": "kept",
                "accepted": None,
                "detail": "wazuh: $.rule is missing; is this an alert of Wazuh 4?",
            }
        }
    )

    id: str
    state: RejectionState = Field(description="`replayed` where nothing of it is left to read.")
    accepted: Accepted | None = Field(description="Its alerts; null where it holds none.")
    detail: str | None = Field(description="What is still wrong, or what it holds instead.")


class ReplayedAll(Frozen):
    """What the replay of several deliveries came to."""

    model_config = ConfigDict(json_schema_extra={"example": {"replays": [], "next": None}})

    replays: list[Replay]
    next: str | None = Field(
        description="The `after` of the next request; null where every delivery was tried."
    )
