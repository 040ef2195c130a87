"""Approvals: questions to people, and their answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.container import Rt, Temporal
from api.dependencies import Guarded, Who, requires
from api.paging import Cursor, Limit, Page
from api.problems import documented
from api.schemas.approvals import (
    Approval,
    ApprovalState,
    BreakGlass,
    Decide,
    Review,
    ReviewGlass,
    Withdraw,
    Withdrawal,
)
from orchestrator.approvals import decide as approvals
from orchestrator.approvals.break_glass import break_glass
from orchestrator.approvals.review import review
from orchestrator.approvals.withdraw import withdraw
from orchestrator.domain.access import Permission

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
    run_id: Annotated[
        str | None, Query(max_length=200, examples=["run_019a8c7d21f04b6c1e2f3a4b5c6d"])
    ] = None,
    review: Annotated[
        Review | None,
        Query(description="Of broken glasses: what was said of them.", examples=["pending"]),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> object:
    """Questions, newest first."""
    return await approvals.list_approvals(
        rt, state=state, run_id=run_id, review=review, cursor=cursor, limit=limit
    )


@router.get(
    "/v1/approvals/{approval_id}",
    response_model=Approval,
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=documented(401, 403, 404, 422),
)
async def show_approval(rt: Rt, approval_id: ApprovalId) -> object:
    """One question: the exact planned_changes, the digest, who may answer, until when."""
    return await approvals.get_approval(rt, approval_id)


@router.post(
    "/v1/approvals/{approval_id}/decision",
    response_model=Approval,
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=documented(401, 403, 404, 409, 422),
)
async def decide(
    rt: Rt, client: Temporal, who: Who, approval_id: ApprovalId, body: Decide
) -> object:
    """Answer. Another digest, a person who may not, a second answer or a late one is refused, with the reason."""
    return await approvals.decide(
        rt,
        client,
        approval_id,
        who,
        body.decision,
        body.digest,
        comment=body.comment,
        changes=body.changes,
        form=body.form,
    )


@router.post(
    "/v1/approvals/{approval_id}/withdrawal",
    response_model=Withdrawal,
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=documented(401, 403, 404, 409, 422),
)
async def take_back(
    rt: Rt, client: Temporal, who: Who, approval_id: ApprovalId, body: Withdraw
) -> object:
    """Take back what you approved, as long as its changes are not all made. The run asks anew for those that are not."""
    return await withdraw(rt, client, approval_id, who, body.comment)


@router.post(
    "/v1/approvals/{approval_id}/break-glass",
    response_model=Approval,
    dependencies=[requires(Permission.BREAK_GLASS)],
    responses=documented(401, 403, 404, 409, 422),
)
async def decide_alone(
    rt: Rt, client: Temporal, who: Who, approval_id: ApprovalId, body: BreakGlass
) -> object:
    """Approve alone, whatever quorum and group, with a reason that somebody else reviews. No protection and no kill switch gives way."""
    return await break_glass(rt, client, approval_id, who, body.digest, body.reason, body.changes)


@router.post(
    "/v1/approvals/{approval_id}/review",
    response_model=Approval,
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=documented(401, 403, 404, 409, 422),
)
async def review_glass(rt: Rt, who: Who, approval_id: ApprovalId, body: ReviewGlass) -> object:
    """Say of a decision that was taken alone whether it was right. Not for who took it, nor for who started the run."""
    return await review(rt, approval_id, who, body.verdict, body.comment)
