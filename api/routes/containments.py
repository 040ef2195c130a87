"""Containments: what is in force now, and its release."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.dependencies import TheHeld, actor, requires
from api.problems import RESPONSES
from orchestrator.domain.access import Permission, Principal
from orchestrator.runs import containments, query

router = APIRouter(prefix="/v1/containments", tags=["containments"], responses=RESPONSES)
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("")
async def list_containments(
    holds: TheHeld, state: str | None = None, cursor: str | None = None, limit: Limit = 50, who: Principal = requires(Permission.READ)
) -> dict[str, Any]:
    """With the leases that hold them, newest first."""
    return await query.list_containments(holds.rt, state=state, cursor=cursor, limit=limit)


@router.post("/{key}/release", status_code=202)
async def release(key: str, holds: TheHeld, who: Principal = requires(Permission.CONTAINMENT_CONTROL)) -> dict[str, Any]:
    """End all leases of a containment, or one lease by its id; lifted after the last."""
    return await containments.release(holds.rt, holds.client(), key, actor=actor(who))
