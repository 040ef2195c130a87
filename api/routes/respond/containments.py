"""Routes of containments: list, release, extend, shorten and resolve them, and find orphans."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt, Temporal
from api.dependencies import Actor, CurrentPrincipal, GuardedRoute, requires
from api.filters.bulk import ReleaseContainments
from api.filters.lists import Containments
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.routes.respond.incidents import IncidentId
from api.schemas.containments import (
    ChangeLease,
    ContainTarget,
    ReleaseContainment,
    ReleaseIncident,
    ResolveContainment,
)
from orchestrator.containments import bulk_release, orphans, queries, resolve
from orchestrator.containments import release as releases
from orchestrator.containments.bulk_release import ContainmentReleases
from orchestrator.containments.orphans import ConnectionOrphans
from orchestrator.containments.views import ContainmentView
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Invalid
from orchestrator.playbook.language.durations import parse_duration
from orchestrator.runs import contain
from orchestrator.runs.views import RunDetails
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["containments"], route_class=GuardedRoute)

ContainmentId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["6f1c0f2b9d3e4a5b6c7d8e9f0a1b2c3d"])
]


@router.get(
    "/v1/containments",
    response_model=Page[ContainmentView],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_containments(
    rt: Rt,
    wanted: Containments,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ContainmentView]:
    """List containments with their leases, by the time since when they are in force.

    `covering` answers whether a target is contained, by itself or by what lies around it.
    """
    return await queries.list_containments(rt, wanted, order=sort, cursor=cursor, limit=limit)


@router.post(
    "/v1/containments",
    status_code=201,
    response_model=RunDetails,
    dependencies=[requires(Permission.RUN_START)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def contain_target(rt: Rt, client: Temporal, actor: Actor, body: ContainTarget) -> RunDetails:
    """Contain a target by hand: start a run that the policy evaluates, and approvers if it asks.

    The containment stands in the list once the run has applied it.
    """
    return await contain.contain_target(
        rt,
        client,
        body.target,
        length=body.length,
        reason=body.reason,
        connection=body.connection,
        action=body.action,
        mode=body.mode,
        actor=actor,
    )


@router.post(
    "/v1/containments/release",
    response_model=ContainmentReleases,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 409, 422),
)
async def release_containments(
    rt: Rt, who: CurrentPrincipal, actor: Actor, body: ReleaseContainments
) -> ContainmentReleases:
    """Release containments that a filter or ids choose, up to 500, each with its own result.

    Send `preview: true` first, then the same request with the `count` and `digest` of its answer.
    A condition about runs ends only the leases of such runs. What others hold stays in force.
    """
    wanted = body.wanted()
    if body.preview:
        return await bulk_release.preview_release(rt, wanted, who)
    expected = body.expected(by_id=body.ids is not None)
    return await bulk_release.release_containments(
        rt, wanted, expected=expected, actor=actor, who=who, reason=body.reason
    )


@router.get(
    "/v1/containments/{containment_id}",
    response_model=ContainmentView,
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_containment(rt: Rt, containment_id: ContainmentId) -> ContainmentView:
    """Return one containment with its leases."""
    return await queries.get_containment(rt, containment_id)


@router.patch(
    "/v1/containments/{containment_id}",
    response_model=ContainmentView,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def change_lease(
    rt: Rt,
    who: CurrentPrincipal,
    actor: Actor,
    containment_id: ContainmentId,
    body: ChangeLease,
) -> ContainmentView:
    """Extend or shorten a containment: set the end of one lease, or of all of them.

    An earlier end of what a group approved is for its members (403, and they are asked).
    """
    return await releases.change_lease(
        rt,
        containment_id,
        lease=body.lease,
        until=body.expires_at,
        length=_length(body.length),
        way=body.way,
        actor=actor,
        who=who,
        reason=body.reason,
    )


@router.post(
    "/v1/containments/{containment_id}/release",
    status_code=202,
    response_model=ContainmentView,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def release_containment(
    rt: Rt,
    who: CurrentPrincipal,
    actor: Actor,
    containment_id: ContainmentId,
    body: ReleaseContainment | None = None,
) -> ContainmentView:
    """End all leases of a containment, or one, and lift it.

    What a group approved is for its members (403, and they are asked). A kill switch that stops
    releases holds the lifting back.
    """
    asked = body or ReleaseContainment()
    return await releases.release(
        rt, containment_id, lease=asked.lease, actor=actor, who=who, reason=asked.reason
    )


@router.post(
    "/v1/containments/{containment_id}/resolve",
    response_model=ContainmentView,
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def resolve_containment(
    rt: Rt, client: Temporal, actor: Actor, containment_id: ContainmentId, body: ResolveContainment
) -> ContainmentView:
    """Record that a containment that could not be lifted is gone.

    A worker reads the device first: while it shows the change, this takes `force`.
    """
    return await resolve.resolve_containment(
        rt, client, containment_id, comment=body.comment, force=body.force, actor=actor
    )


@router.post(
    "/v1/incidents/{incident_id}/release",
    status_code=202,
    response_model=Page[ContainmentView],
    dependencies=[requires(Permission.CONTAINMENT_CONTROL)],
    responses=error_responses(401, 403, 404, 422),
)
async def release_incident(
    rt: Rt,
    who: CurrentPrincipal,
    actor: Actor,
    incident_id: IncidentId,
    body: ReleaseIncident | None = None,
) -> Page[ContainmentView]:
    """End all leases of an incident's runs. What other incidents hold too stays in force.

    Where a group approved one of them, and you are not a member, none is released (403).
    """
    reason = body.reason if body else ""
    return await releases.release_incident(rt, incident_id, actor=actor, who=who, reason=reason)


@router.get(
    "/v1/orphans",
    response_model=Page[ConnectionOrphans],
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def list_orphans(
    rt: Rt,
    client: Temporal,
    connection: Annotated[
        str | None,
        Query(max_length=64, examples=["firewall"], description="Only this connection."),
    ] = None,
) -> Page[ConnectionOrphans]:
    """List objects on devices that carry Tocsin's tag and are not in the database.

    Workers ask the devices now.
    """
    return await orphans.list_orphans(rt, client, connection=connection)


def _length(text: str | None) -> timedelta | None:
    try:
        return None if text is None else timedelta(seconds=parse_duration(text))
    except Invalid as error:
        message = f"for: {error}"
        raise Invalid(message) from error
