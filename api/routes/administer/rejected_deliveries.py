"""Routes of rejected deliveries: what a source sent that could not be read, and its replay."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.container import Rt, container_of
from api.dependencies import Actor, GuardedRoute, requires
from api.filters.lists import Rejected
from api.filters.parameters import Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.routes.administer.sources import SourceName
from api.schemas.sources import ReplayRejected
from orchestrator.domain.access import Permission
from orchestrator.intake.answers import new_incidents
from orchestrator.intake.rejected import queries, replay
from orchestrator.intake.rejected.views import RejectedDelivery, Replay, ReplayedAll
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["sources"], route_class=GuardedRoute)

RejectedId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["rej_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.get(
    "/v1/sources/{source}/rejected",
    response_model=Page[RejectedDelivery],
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def list_rejected_deliveries(
    rt: Rt,
    source: SourceName,
    wanted: Rejected,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RejectedDelivery]:
    """List what a source sent that could not be read, by the time of its first arrival."""
    return await queries.list_rejected(rt, source, wanted, order=sort, cursor=cursor, limit=limit)


@router.post(
    "/v1/sources/{source}/rejected/replay",
    response_model=ReplayedAll,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def replay_rejected_deliveries(
    rt: Rt, actor: Actor, request: Request, source: SourceName, body: ReplayRejected
) -> ReplayedAll:
    """Read kept deliveries again, oldest first, at most 50; repeat with `next` for the others."""
    done = await replay.replay_all(rt, source, after=body.after, actor=actor)
    for each in done.replays:
        _dispatch(request, each)
    return done


@router.get(
    "/v1/sources/{source}/rejected/{rejected_id}",
    response_model=RejectedDelivery,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_rejected_delivery(
    rt: Rt, source: SourceName, rejected_id: RejectedId
) -> RejectedDelivery:
    """Return one rejected delivery, without its body."""
    return await queries.get_rejected(rt, source, rejected_id)


@router.get(
    "/v1/sources/{source}/rejected/{rejected_id}/body",
    response_class=Response,
    dependencies=[requires(Permission.ADMIN)],
    responses={
        200: {
            "description": "The body as it was sent",
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "{}",
                }
            },
        },
        **error_responses(401, 403, 404, 422),
    },
)
async def get_rejected_body(rt: Rt, source: SourceName, rejected_id: RejectedId) -> Response:
    """Return the body of a rejected delivery, byte for byte.

    Browsers download it: it is untrusted data, and may hold secrets.
    """
    return Response(
        await queries.get_body(rt, source, rejected_id),
        media_type="application/octet-stream",
        headers={"Content-Disposition": "attachment; filename=delivery.bin"},
    )


@router.post(
    "/v1/sources/{source}/rejected/{rejected_id}/replay",
    response_model=Replay,
    dependencies=[requires(Permission.ADMIN)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def replay_rejected_delivery(
    rt: Rt, actor: Actor, request: Request, source: SourceName, rejected_id: RejectedId
) -> Replay:
    """Read a delivery again, with the parser and the mapping that the source has now.

    Alerts of it that are stored already are duplicates.
    """
    done = await replay.replay(rt, source, rejected_id, actor=actor)
    _dispatch(request, done)
    return done


def _dispatch(request: Request, done: Replay) -> None:
    if done.accepted is not None:
        container_of(request).dispatcher.enqueue(
            done.accepted.run_ids, new_incidents(done.accepted)
        )
