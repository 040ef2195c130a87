"""What a PAN-OS connection is configured with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings

ObjectName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class PaloAltoSettings(HttpSettings):
    """Blocks of addresses are tags (instant, no commit); blocks of networks are address objects in a group (a commit each)."""

    api_key: Annotated[SecretStr, Field(description="API key of an administrator that may read")]
    write_api_key: Annotated[
        SecretStr | None,
        Field(
            description="API key that may write; without it, api_key does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    vsys: ObjectName = "vsys1"
    tag: Annotated[
        ObjectName,
        Field(description="The tag that the dynamic address group of the deny rule matches"),
    ] = "tocsin-blocked"
    network_group: Annotated[
        ObjectName, Field(description="The static address group of the deny rule")
    ] = "tocsin-blocked-networks"
    admin: Annotated[
        ObjectName | None,
        Field(
            description="The administrator behind the write key: only its changes are committed. Needed for networks"
        ),
    ] = None
    poll_seconds: Annotated[
        float, Field(gt=0, le=60, description="How often a commit job is looked at")
    ] = 2.0
    commit_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How long a commit may take")
    ] = 600.0
