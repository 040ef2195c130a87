"""Settings of a Falcon connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings


class CrowdStrikeSettings(HttpSettings):
    """An API client with `Hosts: read` and `IOC Management: read`, and one that may write both."""

    client_id: Annotated[
        str, Field(min_length=1, max_length=200, description="API client that may read")
    ]
    client_secret: Annotated[SecretStr, Field(description="Secret of client_id")]
    write_client_id: Annotated[
        str | None, Field(description="API client that may write; without it, client_id does both")
    ] = None
    write_client_secret: Annotated[
        SecretStr | None, Field(description="Secret of write_client_id", json_schema_extra=WRITE)
    ] = None
    member_cid: Annotated[
        str | None,
        Field(pattern=r"^[0-9a-fA-F-]{32,40}$", description="Tenant to act on, for an MSSP"),
    ] = None
    poll_seconds: Annotated[
        float, Field(gt=0, le=60, description="Interval of status requests for a containment")
    ] = 3.0
    containment_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Time limit of a containment, in seconds")
    ] = 300.0
