"""Settings of a PAN-OS connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings

ObjectName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class PaloAltoSettings(HttpSettings):
    """An address is blocked by a tag, without a commit; a network by an object and a commit."""

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
        Field(description="Tag that the dynamic address group of the deny rule matches"),
    ] = "tocsin-blocked"
    network_group: Annotated[
        ObjectName, Field(description="Static address group of the deny rule")
    ] = "tocsin-blocked-networks"
    admin: Annotated[
        ObjectName | None,
        Field(
            description="Administrator of the write key, whose changes alone are committed; "
            "required to block networks"
        ),
    ] = None
    poll_seconds: Annotated[
        float, Field(gt=0, le=60, description="Interval of status requests for a commit job")
    ] = 2.0
    commit_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Time limit of a commit, in seconds")
    ] = 600.0
