"""Request bodies of sources."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr

from api.schemas.request_model import RequestModel
from orchestrator.domain.run import Mode
from orchestrator.intake.authenticate import Scheme, SchemeOptions
from orchestrator.intake.sources import MAX_OVERLAP

_YEAR_SECONDS = 366 * 24 * 3600


class AddSource(RequestModel):
    """A source that may send alerts to /v1/webhooks/{source}."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "edge-ids", "product": "suricata", "scheme": "standard_webhooks"},
                {
                    "name": "siem",
                    "product": "wazuh",
                    "scheme": "header",
                    "options": {"header": "x-siem-token"},
                    "correlate_by": "host",
                },
            ]
        }
    )

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    product: Annotated[str, Field(min_length=1, max_length=64)]
    scheme: Scheme
    secret: Annotated[
        SecretStr | None,
        Field(
            min_length=1,
            max_length=512,
            description="Without a secret, one is generated and shown once.",
        ),
    ] = None
    options: SchemeOptions = SchemeOptions()
    mapping: Annotated[
        dict[str, Any] | None,
        Field(description="The JMESPath of each field; required for the product `generic`."),
    ] = None
    correlate_by: Annotated[
        Literal["host", "user", "remote", "rule", "none"],
        Field(description="What alerts of one incident share."),
    ] = "host"
    correlate_within: Annotated[int, Field(ge=0, le=_YEAR_SECONDS, description="Seconds.")] = 3600
    mode: Annotated[
        Mode,
        Field(description="`dry_run`: its alerts start dry runs only, which change nothing."),
    ] = Mode.LIVE
    senders: Annotated[
        list[str],
        Field(
            max_length=64,
            description="Networks that its requests must come from; empty for any.",
            examples=[["192.0.2.0/24"]],
        ),
    ] = []


class ChangeSource(RequestModel):
    """Changes of a source. What is left out stays; the secret always does."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"senders": ["192.0.2.0/24"]}]})

    mapping: Annotated[
        dict[str, Any] | None, Field(description="null returns to the product's own parser.")
    ] = None
    correlate_by: Literal["host", "user", "remote", "rule", "none"] = "host"
    correlate_within: Annotated[int, Field(ge=0, le=_YEAR_SECONDS, description="Seconds.")] = 3600
    mode: Mode = Mode.LIVE
    senders: Annotated[list[str], Field(max_length=64)] = []


class RotateSecret(RequestModel):
    """A new secret of a source, and for how long the one that it has is accepted too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"overlap": 86400}]})

    overlap: Annotated[
        int,
        Field(
            ge=0,
            le=int(MAX_OVERLAP.total_seconds()),
            description="Seconds; 0 where the secret is known to others.",
        ),
    ]
    secret: Annotated[
        SecretStr | None,
        Field(
            min_length=1,
            max_length=512,
            description="Without a secret, one is generated and shown once.",
        ),
    ] = None


class TryPayload(RequestModel):
    """A payload to try, and a mapping to try it with."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"body": '{"event_type": "alert"}'}]})

    body: Annotated[str, Field(min_length=1, description="What the product would send.")]
    content_type: Annotated[str, Field(max_length=200)] = "application/json"
    mapping: Annotated[
        dict[str, Any] | None,
        Field(description="A mapping to try; without one, that of the source."),
    ] = None


class ReplayRejected(RequestModel):
    """Which rejected deliveries to replay: those that came after this one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"after": None}]})

    after: Annotated[
        str | None, Field(max_length=200, description="`next` of the previous answer.")
    ] = None
