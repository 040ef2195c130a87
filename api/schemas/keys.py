"""Request bodies about API keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.request_model import RequestModel, example
from orchestrator.domain.access import Permission, Role

_YEAR_SECONDS = 366 * 24 * 3600


class CreateKey(RequestModel):
    """A key for a person. It cannot have more permissions than the key that creates it."""

    model_config = example(
        {
            "person": "ann",
            "roles": ["analyst", "approver"],
            "networks": ["10.20.0.0/16"],
            "expires_in": 2592000,
        }
    )

    person: Annotated[str, Field(min_length=1, max_length=100, description="The id of the person.")]
    roles: Annotated[list[Role], Field(min_length=1, max_length=6)]
    scopes: Annotated[
        list[Permission] | None,
        Field(max_length=20, description="Narrows the roles' permissions; null: all of them."),
    ] = None
    networks: Annotated[
        list[Annotated[str, Field(max_length=64)]] | None,
        Field(max_length=50, description="Accepts the key from these only; null: from anywhere."),
    ] = None
    expires_in: Annotated[
        int | None,
        Field(
            ge=60,
            le=10 * _YEAR_SECONDS,
            description="Seconds; null: 90 days (`key_days`), for a service 365.",
        ),
    ] = None


class Enrol(RequestModel):
    """The code of a new key."""

    model_config = example({"code": "mZ0mYx5v4m0q3nKb1m8v0f2rH8v2b9sJk4uT6wXyZ0A"})

    code: Annotated[str, Field(min_length=1, max_length=200)]
