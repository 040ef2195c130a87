"""Containments: what is in force now, what was, and how it is given another end."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt, Temporal
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.routes.incidents import IncidentId
from api.schemas.containments import (
    ConnectionOrphans,
    Containment,
    IncidentReleaseAsked,
    LeaseChange,
    ReleaseAsked,
    Settlement,
)
from orchestrator.containments import orphans, queries, resolve
from orchestrator.containments import release as releases
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import duration

router = APIRouter(tags=["containments"], route_class=Guarded)

Key = Annotated[
    str, Path(min_length=1, max_length=200, examples=["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"])
]


@router.get(
    "/v1/containments",
    response_model=Page[Containment],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 422),
)
async def list_containments(
    rt: Rt,
    state: Annotated[
        queries.Which, Query(examples=["held"], description="`in_force`: held, lifting and stuck.")
    ] = "in_force",
    lease: Annotated[
        str | None,
        Query(
            max_length=400, description="The one that this lease holds.", examples=["run_1/block"]
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """What is in force now with its leases, newest first; with `state`, also what was."""
    return await queries.list_containments(rt, state=state, lease=lease, cursor=cursor, limit=limit)


@router.get(
    "/v1/containments/{key}",
    response_model=Containment,
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_containment(rt: Rt, key: Key) -> object:
    """One containment with its leases."""
    return await queries.get_containment(rt, key)


@router.patch(
    "/v1/containments/{key}",
    response_model=Containment,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def change_lease(
    rt: Rt, client: Temporal, actor: Actor, key: Key, body: LeaseChange
) -> object:
    """Extend or shorten it: give one lease, or all of them, another end."""
    return await releases.change_lease(
        rt,
        client,
        key,
        lease=body.lease,
        until=body.until,
        length=_length(body.length),
        way=body.way,
        actor=actor,
        reason=body.reason,
    )


@router.post(
    "/v1/containments/{key}/release",
    status_code=202,
    response_model=Containment,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def release(
    rt: Rt, client: Temporal, actor: Actor, key: Key, body: ReleaseAsked | None = None
) -> object:
    """End all leases of a containment now (or one), and lift it. Only a kill switch that stops releases too stands against it."""
    asked = body or ReleaseAsked()
    return await releases.release(
        rt, client, key, lease=asked.lease, actor=actor, reason=asked.reason
    )


@router.post(
    "/v1/containments/{key}/settle",
    response_model=Containment,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 409, 422),
)
async def settle(rt: Rt, actor: Actor, key: Key, body: Settlement) -> object:
    """Say that what could not be lifted is off. The device is read first: while it shows it, that takes `force`."""
    return await resolve.settle(rt, key, comment=body.comment, force=body.force, actor=actor)


@router.post(
    "/v1/incidents/{incident_id}/release",
    status_code=202,
    response_model=Page[Containment],
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=documented(401, 403, 404, 422),
)
async def release_incident(
    rt: Rt,
    client: Temporal,
    actor: Actor,
    incident_id: IncidentId,
    body: IncidentReleaseAsked | None = None,
) -> object:
    """End all leases of an incident's runs. What other incidents hold too stays in force."""
    reason = body.reason if body else ""
    return {
        "items": await releases.release_incident(
            rt, client, incident_id, actor=actor, reason=reason
        ),
        "next": None,
    }


@router.get(
    "/v1/orphans",
    response_model=Page[ConnectionOrphans],
    dependencies=[requires(Permission.READ)],
    responses=documented(401, 403, 404, 422),
)
async def list_orphans(
    rt: Rt,
    connection: Annotated[
        str | None, Query(max_length=64, examples=["firewall"], description="Only this one.")
    ] = None,
) -> object:
    """What carries our tag on a device and is not known to be in force, by connection. The devices are asked now."""
    return {"items": await orphans.list_orphans(rt, connection=connection), "next": None}


def _length(written: str | None) -> timedelta | None:
    try:
        return None if written is None else timedelta(seconds=duration(written))
    except Invalid as error:
        message = f"for: {error}"
        raise Invalid(message) from error
