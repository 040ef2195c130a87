"""Debug sessions: somebody steps through a draft, in staging."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Debugging
from api.dependencies import Guarded, Who, requires
from api.problems import documented
from api.schemas.examples import DEBUGGED, shown
from api.schemas.request_model import example
from orchestrator.authoring.debug import sessions, state
from orchestrator.authoring.debug.state import DebugState
from orchestrator.domain.access import Permission
from orchestrator.domain.errors import Forbidden

router = APIRouter(tags=["debugging"], route_class=Guarded)

SessionId = Annotated[
    str, Path(min_length=1, max_length=200, examples=["dbg_019a8c7d21f04b6c1e2f3a4b5c6d"])
]


class Begin(sessions.Begin):
    """A draft (`text`) or a published version (`name`), and what it is about: an alert or inputs."""

    model_config = example(
        {
            "name": "c2-beacon-containment",
            "alert_id": "alert_019a8c7d",
            "breakpoints": ["contain/block"],
        }
    )


class Command(state.Command):
    """One command. `path` goes with break and clear, `result` with override, `target` with apply, `expression` with show."""

    model_config = example({"command": "next"}, {"command": "apply", "target": "198.51.100.7"})


@router.post(
    "/v1/debug-sessions",
    status_code=201,
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(DEBUGGED, status=201) | documented(401, 403, 404, 409, 422),
)
async def begin_session(debugging: Debugging, who: Who, body: Begin) -> object:
    """Begin one: real reads, real plans, nothing applied. It stops before the first step, or at the first breakpoint."""
    return await debugging.begin(body, person=who.person)


@router.get(
    "/v1/debug-sessions/{session_id}",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(DEBUGGED) | documented(401, 403, 404, 422),
)
async def show_session(debugging: Debugging, who: Who, session_id: SessionId) -> object:
    """How a session of yours stands."""
    return debugging.state(session_id, person=who.person)


@router.post(
    "/v1/debug-sessions/{session_id}/commands",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(DEBUGGED) | documented(401, 403, 404, 409, 422),
)
async def command_session(
    debugging: Debugging, who: Who, session_id: SessionId, body: Command
) -> object:
    """Tell it how to go on. `apply` carries a step out for real, in a run of its own, and takes the permission `run:start` too."""
    if body.command == "apply" and not who.may(Permission.RUN_START):
        raise Forbidden(
            f"{who.person} may not apply a step; it takes the permission {Permission.RUN_START}"
        )
    return await debugging.told(session_id, body, person=who.person)


@router.delete(
    "/v1/debug-sessions/{session_id}",
    response_model=DebugState,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(DEBUGGED) | documented(401, 403, 404, 422),
)
async def end_session(debugging: Debugging, who: Who, session_id: SessionId) -> object:
    """End it; what it applied is taken back, unless it was told to keep it."""
    return await debugging.end(session_id, person=who.person)
