"""Settings of an Okta connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings
from orchestrator.domain.observable import Domain

_NO_DOMAINS: dict[str, Domain] = {}


class OktaSettings(HttpSettings):
    r"""One org. Names in alerts (`j.doe`, `j.doe@corp.example`, `CORP\j.doe`) become logins."""

    api_token: Annotated[
        SecretStr,
        Field(
            description="SSWS token of a read-only administrator "
            "with access to users and the System Log"
        ),
    ]
    write_api_token: Annotated[
        SecretStr | None,
        Field(
            description="SSWS token that may suspend users and end sessions; "
            "without it, api_token does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    windows_domains: Annotated[
        dict[str, Domain],
        Field(
            description="Windows domain (NetBIOS name) to the domain of its Okta logins; "
            "other Windows domains are refused"
        ),
    ] = _NO_DOMAINS
    log_wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=300,
            description="Time limit for the System Log to show ended sessions, in seconds",
        ),
    ] = 30.0
