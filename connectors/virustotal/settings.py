"""What a VirusTotal connection is configured with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from connectors.sdk.settings import HttpSettings
from orchestrator.domain.observable import Domain


class VirusTotalSettings(HttpSettings):
    """What is looked up is told to VirusTotal; what lies inside is not looked up at all."""

    base_url: Annotated[str, Field(description="Where the API listens")] = (
        "https://www.virustotal.com"
    )
    api_key: Annotated[SecretStr, Field(description="API key, public or premium")]
    internal_domains: Annotated[
        tuple[Domain, ...],
        Field(description="Domains that are yours: they, and URLs below them, are never sent out"),
    ] = ()
