"""Approvals: questions to people, and their answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.dependencies import Guarded, Who, requires
from api.paging import Cursor, Limit, Page
from api.parts import Rt, Temporal
from api.problems import documented
from api.schemas.approvals import Approval, ApprovalState, Decide
from orchestrator.domain.access import Permission
from orchestrator.runs import approvals

router = APIRouter(tags=["approvals"], route_class=Guarded)

ApprovalId = Annotated[str, Path(min_length=1, max_length=200, examples=["apr_1f0c"])]


@router.get(
    "/v1/approvals",
    response_model=Page[Approval],
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=documented(401, 403, 422),
)
async def list_approvals(
    rt: Rt,
    state: Annotated[ApprovalState | None, Query(examples=["pending"])] = None,
    run_id: Annotated[str | None, Query(max_length=200, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Questions, newest first."""
    return await approvals.list_approvals(rt, state=state, run_id=run_id, cursor=cursor, limit=limit)


@router.get(
    "/v1/approvals/{approval_id}",
    response_model=Approval,
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_approval(rt: Rt, approval_id: ApprovalId) -> object:
    """One question: the exact receipts, the digest, who may answer, until when."""
    return await approvals.get_approval(rt, approval_id)


@router.post(
    "/v1/approvals/{approval_id}/decision",
    response_model=Approval,
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=documented(401, 403, 404, 409, 422),
)
async def decide(rt: Rt, client: Temporal, who: Who, approval_id: ApprovalId, body: Decide) -> object:
    """Answer. Another digest, a person who may not, a second answer or a late one is refused, with the reason."""
    return await approvals.decide(
        rt, client, approval_id, who, body.decision, body.digest, comment=body.comment, changes=body.changes, form=body.form
    )
