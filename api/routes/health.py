"""Routes of health: liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from api.container import container_of
from api.metrics import MEDIA_TYPE
from api.problems import error_responses
from api.protocol.route import StrictRoute
from api.temporal import has_worker, is_reachable
from orchestrator.installation.identity import KeyState, damage_of, key_state
from orchestrator.runtime import Runtime
from orchestrator.store.migrate import Revision, revision_state

router = APIRouter(tags=["health"], route_class=StrictRoute)

_TIMEOUT_SECONDS = 2.0


class Live(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"example": {"status": "ok"}})

    status: Literal["ok"] = "ok"


class Database(StrEnum):
    """What the database says."""

    OK = "ok"
    NOT_MIGRATED = "not migrated"
    NEWER = "newer"
    DAMAGED = "damaged"
    DOWN = "down"


class Ready(BaseModel):
    """Whether the API can accept alerts, and whether their runs begin."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "ok",
                "database": "ok",
                "keys": "ok",
                "temporal": "connected",
                "worker": "polling",
                "audit": "intact",
            }
        }
    )

    status: Annotated[
        Literal["ok", "degraded", "unavailable"],
        Field(
            description="`degraded`: alerts are accepted, and their runs begin once Temporal and a "
            "worker are back, or the trail is broken. `unavailable` (503): alerts are refused."
        ),
    ]
    database: Annotated[Database, Field(description="`newer`: of a newer version of Tocsin.")]
    keys: Annotated[
        KeyState,
        Field(description="`foreign`: the keys of this process are not those of the database."),
    ]
    temporal: Annotated[
        Literal["connected", "away"], Field(description="Whether Temporal answers.")
    ]
    worker: Annotated[
        Literal["polling", "none"],
        Field(description="Whether a worker asked for work within the last five minutes."),
    ]
    audit: Annotated[
        Literal["intact", "broken", "unknown"],
        Field(
            description="Whether the audit trail is what was sealed; `broken` has a task that says "
            "what is wrong, and is the header `Tocsin-Audit` of every answer."
        ),
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
            "description": "The database is down, damaged or not of this version, or the keys are "
            "not its own; see `tocsin doctor`",
        },
    },
)
async def readyz(request: Request, response: Response) -> Ready:
    """Report whether alerts are accepted and their runs begin, and what is in the way."""
    container = container_of(request)
    client = container.client()
    database, temporal, worker = await asyncio.gather(
        _database(container.rt), is_reachable(client), has_worker(client)
    )
    keys = await key_state(container.rt) if database is Database.OK else KeyState.UNKNOWN
    accepts = database is Database.OK and keys is KeyState.OK
    response.status_code = 200 if accepts else 503
    intact = (await container.state.trail.get()).is_intact
    well = bool(temporal and worker and intact)
    return Ready(
        status=("ok" if well else "degraded") if accepts else "unavailable",
        database=database,
        keys=keys,
        temporal="connected" if temporal else "away",
        worker="polling" if worker else "none",
        audit=("intact" if intact else "broken") if accepts else "unknown",
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
    trail = await container.state.trail.get()
    return Response(await container.metrics.text(container.rt, trail), media_type=MEDIA_TYPE)


async def _database(rt: Runtime) -> Database:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            revision = await revision_state(rt.store)
    except (SQLAlchemyError, OSError) as error:  # a TimeoutError is an OSError
        return Database.DOWN if damage_of(error) is None else Database.DAMAGED
    match revision:
        case Revision.CURRENT:
            return Database.OK
        case Revision.NEWER:
            return Database.NEWER
        case _:
            return Database.NOT_MIGRATED
