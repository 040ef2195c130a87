"""Is it alive, can it take alerts, what are its figures?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.dependencies import TheHeld
from orchestrator.store import runs

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> dict[str, Any]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(holds: TheHeld) -> Response:
    """The database answers. Temporal is reported; alerts are taken without it."""
    try:
        await holds.rt.store.ready()
    except Exception as error:  # noqa: BLE001 - whatever the database raises
        return JSONResponse({"status": "unavailable", "database": type(error).__name__}, status_code=503)
    return JSONResponse({"status": "ok", "database": "ok", "temporal": "connected" if holds.client() else "away"})


@router.get("/metrics")
async def metrics(holds: TheHeld) -> Response:
    """Prometheus text: the process, and runs by status."""
    async with holds.rt.store.read() as session:
        counts = await runs.count_by_status(session)
    lines = ["# HELP tocsin_runs Runs by status", "# TYPE tocsin_runs gauge"]
    lines += [f'tocsin_runs{{status="{status}"}} {count}' for status, count in sorted(counts.items())]
    return Response(generate_latest() + "\n".join([*lines, ""]).encode(), media_type=CONTENT_TYPE_LATEST)
