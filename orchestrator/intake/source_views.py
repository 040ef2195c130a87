"""Sources as the API returns them, without their secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, JsonValue

from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme

_EXAMPLE: dict[str, JsonValue] = {
    "name": "edge-ids",
    "product": "suricata",
    "scheme": "standard_webhooks",
    "options": {"header": "x-tocsin-token"},
    "mapping": None,
    "correlate_by": "host",
    "correlate_within": 3600,
    "mode": "live",
    "senders": [],
    "old_secret_expires_at": None,
    "created_at": "2026-01-01T12:00:00Z",
}


class SourceView(Frozen):
    """A source without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    product: str
    scheme: Scheme
    options: dict[str, Any]
    mapping: dict[str, Any] | None
    correlate_by: str
    correlate_within: Annotated[int, Field(description="Seconds.")]
    mode: Mode
    senders: Annotated[
        list[str],
        Field(description="The networks that its requests must come from; empty for any."),
    ]
    old_secret_expires_at: Annotated[
        datetime | None,
        Field(
            description="Until when the secret before the last rotation is accepted too; null where"
            " it is not."
        ),
    ]
    created_at: datetime


class WebhookCounts(Frozen):
    """What a source sent over the last seven days."""

    last_seen_at: Annotated[
        datetime | None,
        Field(description="When it last sent something other than telemetry."),
    ]
    accepted: Annotated[int, Field(description="Deliveries with a new alert.")]
    duplicates: Annotated[int, Field(description="Deliveries of known alerts only.")]
    unreadable: Annotated[int, Field(description="Deliveries of which a part could not be read.")]
    refused: Annotated[int, Field(description="Requests that did not prove the source.")]
    rejected_kept: Annotated[
        int, Field(description="Rejected deliveries that can be replayed, of any age.")
    ]


class SourceDetails(SourceView):
    """A source with what it sent."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                **_EXAMPLE,
                "activity": {
                    "last_seen_at": "2026-01-02T12:00:00Z",
                    "accepted": 40,
                    "duplicates": 2,
                    "unreadable": 1,
                    "refused": 0,
                    "rejected_kept": 1,
                },
            }
        }
    )

    activity: WebhookCounts


class SourceWithSecret(SourceView):
    """A source with a new secret. This is the only time that a generated one is shown."""

    model_config = ConfigDict(json_schema_extra={"example": {**_EXAMPLE, "secret": "whsec_..."}})

    secret: Annotated[
        str | None, Field(description="The generated secret; null where the client sent its own.")
    ]
