"""Settings of a VirusTotal connection."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import HttpSettings
from orchestrator.domain.observable import Domain


class VirusTotalSettings(HttpSettings):
    """VirusTotal learns every value that is looked up. Internal values are not looked up."""

    base_url: Annotated[str, Field(description="URL of the API")] = "https://www.virustotal.com"
    api_key: Annotated[SecretStr, Field(description="API key, public or premium")]
    internal_domains: Annotated[
        tuple[Domain, ...],
        Field(description="Your own domains; they, their subdomains and their URLs are never sent"),
    ] = ()
