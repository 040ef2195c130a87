"""Runs: list, show, start by hand, cancel, retry."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import TheHeld, actor, requires
from api.problems import RESPONSES
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.model import Frozen
from orchestrator.domain.run import Mode, RunStatus
from orchestrator.runs import control, query

router = APIRouter(prefix="/v1/runs", tags=["runs"], responses=RESPONSES)
Limit = Annotated[int, Query(ge=1, le=200)]


class Start(Frozen):
    """A run by hand: of a playbook's newest version unless told otherwise."""

    playbook: str
    version: int | None = None
    inputs: dict[str, Any] = {}
    alert_id: str | None = None
    mode: Mode = Mode.LIVE


@router.get("")
async def list_runs(
    holds: TheHeld,
    incident_id: str | None = None,
    status: RunStatus | None = None,
    playbook: str | None = None,
    cursor: str | None = None,
    limit: Limit = 50,
    who: Principal = requires(Permission.READ),
) -> dict[str, Any]:
    """Newest first."""
    return await query.list_runs(holds.rt, incident_id=incident_id, status=status, playbook=playbook, cursor=cursor, limit=limit)


@router.post("", status_code=201)
async def start_run(start: Start, holds: TheHeld, who: Principal = requires(Permission.RUN_START)) -> dict[str, Any]:
    """Start a playbook by hand."""
    return await control.start_run(holds.rt, holds.client(), **dict(start), actor=actor(who))


@router.get("/{run_id}")
async def get_run(run_id: str, holds: TheHeld, who: Principal = requires(Permission.READ)) -> dict[str, Any]:
    """A run with its steps."""
    return await query.get_run(holds.rt, run_id)


@router.post("/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: str, holds: TheHeld, who: Principal = requires(Permission.RUN_CONTROL)) -> dict[str, Any]:
    """Stop a run and take back what it changed."""
    return await control.cancel_run(holds.rt, holds.client(), run_id, actor=actor(who))


@router.post("/{run_id}/retry", status_code=202)
async def retry_run(run_id: str, holds: TheHeld, who: Principal = requires(Permission.RUN_CONTROL)) -> dict[str, Any]:
    """Go on from the step that failed."""
    return await control.retry_run(holds.rt, holds.client(), run_id, actor=actor(who))
