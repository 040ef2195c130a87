"""The route of the API's own address, for people who open it in a browser."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from api.problems import error_responses
from api.protocol.route import StrictRoute

router = APIRouter(tags=["health"], route_class=StrictRoute)


class Index(BaseModel):
    """What answers here, and where to go on. The addresses are relative to this one."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "service": "Tocsin",
                "description": "This is the API. Use it by the command tocsin, or by HTTP.",
                "openapi": "openapi.json",
                "health": "readyz",
            }
        }
    )

    service: str = "Tocsin"
    description: str = "This is the API. Use it by the command tocsin, or by HTTP."
    openapi: str = Field("openapi.json", description="The description of every operation.")
    health: str = Field("readyz", description="Whether this installation is ready.")


@router.get("/", response_model=Index, responses=error_responses())
async def show_index() -> Index:
    """Show what answers here, and where to go on."""
    return Index()
