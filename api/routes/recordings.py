"""Recordings: a run that was, as a case of its playbook's tests."""

from __future__ import annotations

from fastapi import APIRouter

from api.container import Rt
from api.dependencies import Guarded, requires
from api.problems import documented
from api.routes.runs import RunId
from api.schemas.examples import RECORDED, shown
from orchestrator.authoring.recording.service import RecordedRun, record_run
from orchestrator.domain.access import Permission

router = APIRouter(tags=["runs"], route_class=Guarded)


@router.get(
    "/v1/runs/{run_id}/case",
    response_model=RecordedRun,
    dependencies=[requires(Permission.PLAYBOOK_PUBLISH)],
    responses=shown(RECORDED) | documented(401, 403, 404, 409, 422),
)
async def show_case(rt: Rt, run_id: RunId) -> object:
    """Alert, stubs, answers and expectations; secrets and personal data masked, and whether it comes out as the run did."""
    return await record_run(rt, run_id)
