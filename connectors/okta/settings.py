"""What an Okta connection is configured with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import WRITE, HttpSettings
from orchestrator.domain.observable import Domain

_NO_DOMAINS: dict[str, Domain] = {}


class OktaSettings(HttpSettings):
    r"""One org. Names as alerts give them (`j.doe`, `j.doe@corp.example`, `CORP\j.doe`) are looked up as Okta logins."""

    api_token: Annotated[
        SecretStr,
        Field(
            description="SSWS token of a read-only administrator; it must see users and the System Log"
        ),
    ]
    write_api_token: Annotated[
        SecretStr | None,
        Field(
            description="SSWS token that may suspend users and end sessions; without it, api_token does both",
            json_schema_extra=WRITE,
        ),
    ] = None
    windows_domains: Annotated[
        dict[str, Domain],
        Field(
            description="Windows domain (NetBIOS name) to the domain of its Okta logins; a domain that is not here is refused"
        ),
    ] = _NO_DOMAINS
    log_wait_seconds: Annotated[
        float,
        Field(
            ge=0,
            le=300,
            description="How long to wait until the System Log shows that sessions were ended, in seconds",
        ),
    ] = 30.0
