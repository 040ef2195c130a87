"""Routes of debug sessions, in which a person steps through a draft in staging."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt, Temporal
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.problems import error_responses
from orchestrator.authoring.debug import sessions
from orchestrator.authoring.debug.request import BeginSession
from orchestrator.contracts.debug import DebugCommand, DebugState
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden

router = APIRouter(tags=["debugging"], route_class=GuardedRoute)

SessionId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["dbg_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


@router.post(
    "/v1/debug-sessions",
    status_code=201,
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 409, 422, 503),
)
async def begin_debug_session(
    rt: Rt, client: Temporal, who: CurrentPrincipal, body: BeginSession
) -> DebugState:
    """Begin a session on a worker: real reads, real plans, nothing applied.

    It pauses before the first step, or at the first breakpoint.
    """
    return await sessions.begin_session(rt, client, body, person=who.person)


@router.get(
    "/v1/debug-sessions/{session_id}",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 422, 503),
)
async def get_debug_session(
    client: Temporal, who: CurrentPrincipal, session_id: SessionId
) -> DebugState:
    """Get the state of a session of yours."""
    return await sessions.get_session(client, session_id, person=who.person)


@router.post(
    "/v1/debug-sessions/{session_id}/commands",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 409, 422, 503),
)
async def send_debug_command(
    rt: Rt, client: Temporal, who: CurrentPrincipal, session_id: SessionId, body: DebugCommand
) -> DebugState:
    """Execute a command. `apply` applies a step in a run of its own, and requires `run:start`."""
    if body.command == "apply" and not who.has_permission(Permission.RUN_START):
        raise Forbidden(f"{who.person} lacks permission {Permission.RUN_START}, needed to apply")
    return await sessions.execute_command(rt, client, session_id, body, person=who.person)


@router.delete(
    "/v1/debug-sessions/{session_id}",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 422, 503),
)
async def end_debug_session(
    client: Temporal, who: CurrentPrincipal, session_id: SessionId
) -> DebugState:
    """End a session; what it applied is undone, unless it is kept."""
    return await sessions.end_session(client, session_id, person=who.person)
