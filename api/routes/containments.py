"""Containments: what is in force now, and what was."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page
from api.parts import Rt, Temporal
from api.problems import documented
from api.schemas.containments import Containment, ContainmentState
from orchestrator.domain.access import Permission
from orchestrator.runs import containments, query

router = APIRouter(tags=["containments"], route_class=Guarded)

Key = Annotated[str, Path(min_length=1, max_length=200, examples=["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"])]


@router.get(
    "/v1/containments",
    response_model=Page[Containment],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_containments(
    rt: Rt, state: Annotated[ContainmentState | None, Query(examples=["held"])] = None, cursor: Cursor = None, limit: Limit = 50
) -> object:
    """Containments with their leases, newest first."""
    return await query.list_containments(rt, state=state, cursor=cursor, limit=limit)


@router.post(
    "/v1/containments/{key}/release",
    status_code=202,
    response_model=Containment,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def release(rt: Rt, client: Temporal, actor: Actor, key: Key) -> object:
    """End all leases of a containment now, and lift it. No kill switch stands against a release."""
    return await containments.release(rt, client, key, actor=actor)
