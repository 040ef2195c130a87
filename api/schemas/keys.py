"""Request bodies about API keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.request_model import Name, RequestModel, example
from orchestrator.domain.access import Permission, Role

_YEAR_SECONDS = 366 * 24 * 3600


class CreateKey(RequestModel):
    """A key for a person. It cannot have more permissions than the key that creates it."""

    model_config = example(
        {
            "person": "ann",
            "roles": ["analyst", "approver"],
            "groups": ["soc-leads"],
            "expires_in": 2592000,
        }
    )

    person: Annotated[
        str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$")
    ]
    roles: Annotated[list[Role], Field(min_length=1, max_length=5)]
    groups: Annotated[list[Name], Field(max_length=50)] = []
    scopes: Annotated[
        list[Permission] | None,
        Field(max_length=20, description="Narrows the roles' permissions; null: all of them."),
    ] = None
    expires_in: Annotated[
        int | None,
        Field(ge=60, le=10 * _YEAR_SECONDS, description="Seconds; null: it does not expire."),
    ] = None
