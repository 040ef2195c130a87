"""Health: does the process answer, can it do its work, and how does it go?"""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from api.container import parts
from api.metrics import MEDIA_TYPE
from api.problems import documented
from api.schemas.request_model import example
from api.temporal import answers
from orchestrator.runtime import Runtime
from orchestrator.store.migrate import current_revision, newest_revision

router = APIRouter(tags=["health"])

_PATIENCE_SECONDS = 2.0


class Live(BaseModel):
    """It answers."""

    model_config = example({"status": "ok"})

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """`temporal` does not count: without it alerts are accepted all the same, and their runs start later."""

    model_config = example({"status": "ok", "database": "ok", "temporal": "connected"})

    status: Literal["ok", "unavailable"]
    database: Literal["ok", "not migrated", "down"]
    temporal: Literal["connected", "away"]


@router.get("/livez", response_model=Live, responses=documented())
async def livez() -> object:
    """The process answers."""
    return Live()


@router.get(
    "/readyz",
    response_model=Ready,
    responses={
        **documented(),
        503: {
            "model": Ready,
            "description": "The database is down, or `tocsin migrate` has yet to be run",
        },
    },
)
async def readyz(request: Request) -> Response:
    """It can do its work: the database is there and migrated."""
    held = parts(request)
    database, temporal = await asyncio.gather(_database(held.rt), answers(held.client()))
    ready = Ready(
        status="ok" if database == "ok" else "unavailable",
        database=database,
        temporal="connected" if temporal else "away",
    )
    return JSONResponse(ready.model_dump(), 200 if database == "ok" else 503)


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
        **documented(),
    },
)
async def metrics(request: Request) -> Response:
    """Metrics, in Prometheus' text format."""
    held = parts(request)
    return Response(await held.metrics.text(held.rt), media_type=MEDIA_TYPE)


async def _database(rt: Runtime) -> Literal["ok", "not migrated", "down"]:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            found = await current_revision(rt.store)
    except (SQLAlchemyError, OSError):  # a TimeoutError is an OSError
        return "down"
    return "ok" if found == newest_revision() else "not migrated"
