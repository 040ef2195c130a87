"""Routes of health: liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from api.container import container_of
from api.metrics import MEDIA_TYPE
from api.problems import error_responses
from api.protocol.route import StrictRoute
from api.temporal import is_reachable
from orchestrator.runtime import Runtime
from orchestrator.store.migrate import current_revision, newest_revision

router = APIRouter(tags=["health"], route_class=StrictRoute)

_TIMEOUT_SECONDS = 2.0


class Live(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether the API can accept alerts."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": "ok", "database": "ok", "temporal": "connected"}}
    )

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "not migrated", "down"]
    temporal: Annotated[
        Literal["connected", "away"],
        Field(description="Without Temporal, alerts are accepted and their runs start later."),
    ]


@router.get("/livez", response_model=Live, responses=error_responses())
async def livez() -> Live:
    """Report that the process answers."""
    return Live()


@router.get(
    "/readyz",
    response_model=Ready,
    responses={
        **error_responses(),
        503: {
            "model": Ready,
            "description": "The database is down or not migrated; see `tocsin migrate`",
        },
    },
)
async def readyz(request: Request, response: Response) -> Ready:
    """Report whether the database is reachable and migrated, and whether Temporal is connected."""
    container = container_of(request)
    database, temporal = await asyncio.gather(
        _database(container.rt), is_reachable(container.client())
    )
    response.status_code = 200 if database == "ok" else 503
    return Ready(
        status="ok" if database == "ok" else "unavailable",
        database=database,
        temporal="connected" if temporal else "away",
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Metrics",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": 'tocsin_runs{status="waiting"} 2.0\n',
                }
            },
        },
        **error_responses(),
    },
)
async def metrics(request: Request) -> Response:
    """Return metrics in Prometheus' text format."""
    container = container_of(request)
    return Response(await container.metrics.text(container.rt), media_type=MEDIA_TYPE)


async def _database(rt: Runtime) -> Literal["ok", "not migrated", "down"]:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            revision = await current_revision(rt.store)
    except (SQLAlchemyError, OSError):  # a TimeoutError is an OSError
        return "down"
    return "ok" if revision == newest_revision() else "not migrated"
