"""Request bodies about connections."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from api.schemas.request_model import Name, RequestModel, example


class SaveConnection(RequestModel):
    """The connector and the settings behind a name that playbooks use.

    Secret settings are encrypted at rest and never returned.
    """

    model_config = example(
        {
            "connector": "palo_alto",
            "settings": {"base_url": "https://firewall.example", "api_key": "..."},
            "check": True,
        }
    )

    connector: Name
    settings: dict[str, Any]
    check: Annotated[
        bool, Field(description="Try the credentials first; save nothing if they do not work.")
    ] = True
