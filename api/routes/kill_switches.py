"""Kill switches: stop changes at once."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.container import Rt, parts
from api.dependencies import Actor, Guarded, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import documented
from api.schemas.configuration import Engage
from api.schemas.examples import KILL_SWITCH, listed, shown
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import kill_switches
from orchestrator.policy.stops.kill_switches import KillSwitchView

router = APIRouter(tags=["kill switches"], route_class=Guarded)

Scope = Annotated[
    Literal["global", "connection", "playbook", "source"], Path(examples=["connection"])
]
SwitchName = Annotated[
    str,
    Path(min_length=1, max_length=64, description="`*` for the global one.", examples=["firewall"]),
]


@router.get(
    "/v1/kill-switches",
    response_model=Page[KillSwitchView],
    dependencies=[requires(Permission.READ)],
    responses=listed(KILL_SWITCH) | documented(401, 403, 422),
)
async def list_switches(rt: Rt, cursor: Cursor = None, limit: Limit = 50) -> object:
    """Those that are on. They also stand in the header Tocsin-Kill-Switch of every answer."""
    return page_of(
        await kill_switches.list_switches(rt),
        lambda switch: f"{switch.scope} {switch.name}",
        cursor,
        limit,
    )


@router.post(
    "/v1/kill-switches",
    status_code=201,
    response_model=KillSwitchView,
    dependencies=[requires(Permission.KILL_SWITCH)],
    responses=shown(KILL_SWITCH, 201) | documented(401, 403, 422),
)
async def engage(rt: Rt, actor: Actor, request: Request, body: Engage) -> object:
    """Nothing of this scope is applied from now on; what is in force stays, and is still released unless told otherwise."""
    view = await kill_switches.engage(
        rt, body.scope, body.name, body.reason, actor=actor, stop_releases=body.stop_releases
    )
    parts(request).switches.forget()
    return view


@router.delete(
    "/v1/kill-switches/{scope}/{name}",
    status_code=204,
    dependencies=[requires(Permission.KILL_SWITCH)],
    responses=documented(401, 403, 404, 422),
)
async def lift(rt: Rt, actor: Actor, request: Request, scope: Scope, name: SwitchName) -> Response:
    """Allow changes again."""
    await kill_switches.lift(rt, scope, name, actor=actor)
    parts(request).switches.forget()
    return Response(status_code=204)
