"""Routes of recordings: runs as test cases of their playbook."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import GuardedRoute, requires
from api.problems import error_responses
from api.routes.respond.runs import RunId
from orchestrator.authoring.recording.service import RecordedRun, record_run
from orchestrator.domain.access import Permission

router = APIRouter(tags=["runs"], route_class=GuardedRoute)


@router.get(
    "/v1/runs/{run_id}/case",
    response_model=RecordedRun,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def get_run_case(rt: Rt, run_id: RunId) -> RecordedRun:
    """Get a run as a test case, without secrets and personal data; it is played to verify it."""
    return await record_run(rt, run_id)
