"""Kill switches: list, engage and lift them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from api.container import Rt, container_of
from api.dependencies import Actor, GuardedRoute, requires
from api.paging import Cursor, Limit, Page, page_of
from api.problems import error_responses
from api.schemas.policy import EngageKillSwitch
from orchestrator.domain.access import Permission
from orchestrator.policy.stops import kill_switches
from orchestrator.policy.stops.kill_switches import KillSwitchView

router = APIRouter(tags=["kill switches"], route_class=GuardedRoute)

Scope = Annotated[
    Literal["global", "connection", "playbook", "source"], Path(examples=["connection"])
]
SwitchName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        description="`*` for the global switch.",
        examples=["firewall"],
    ),
]


@router.get(
    "/v1/kill-switches",
    dependencies=[requires(Permission.READ)],
    responses=error_responses(401, 403, 422),
)
async def list_kill_switches(
    rt: Rt, cursor: Cursor = None, limit: Limit = 50
) -> Page[KillSwitchView]:
    """List engaged kill switches. The header Tocsin-Kill-Switch names them too."""
    return page_of(
        await kill_switches.list_switches(rt),
        lambda switch: f"{switch.scope} {switch.name}",
        cursor,
        limit,
    )


@router.post(
    "/v1/kill-switches",
    status_code=201,
    dependencies=[requires(Permission.KILL_SWITCH_ENGAGE)],
    responses=error_responses(401, 403, 422),
)
async def engage_kill_switch(
    rt: Rt, actor: Actor, request: Request, body: EngageKillSwitch
) -> KillSwitchView:
    """Stop new changes of a scope. Containments stay, and releases continue unless stopped too."""
    view = await kill_switches.engage(
        rt, body.scope, body.name, body.reason, actor=actor, stop_releases=body.stop_releases
    )
    container_of(request).state.kill_switches.refresh()
    return view


@router.delete(
    "/v1/kill-switches/{scope}/{name}",
    status_code=204,
    dependencies=[requires(Permission.KILL_SWITCH_LIFT)],
    responses=error_responses(401, 403, 404, 422),
)
async def lift_kill_switch(
    rt: Rt, actor: Actor, request: Request, scope: Scope, name: SwitchName
) -> Response:
    """Allow changes again."""
    await kill_switches.lift(rt, scope, name, actor=actor)
    container_of(request).state.kill_switches.refresh()
    return Response(status_code=204)
