"""Approvals: list and show them, decide, withdraw, hand over, break glass, review."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt, Temporal
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.filters.lists import Approvals
from api.filters.parameters import Mine, SortWithExpiry
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.schemas.approvals import BreakGlass, Decide, HandOver, ReviewBreakGlass, Withdraw
from orchestrator.approvals import break_glass, decide, hand_over, review, views, withdraw
from orchestrator.approvals.withdraw import WithdrawalView
from orchestrator.briefing.approval import ApprovalView
from orchestrator.domain.access import Permission

router = APIRouter(tags=["approvals"], route_class=GuardedRoute)

ApprovalId = Annotated[str, Path(min_length=1, max_length=200, examples=["apr_1f0c"])]


@router.get(
    "/v1/approvals",
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=error_responses(401, 403, 422),
)
async def list_approvals(
    rt: Rt,
    principal: CurrentPrincipal,
    wanted: Approvals,
    *,
    mine: Mine = False,
    sort: SortWithExpiry = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ApprovalView]:
    """List approvals: pending ones by when they expire, the first first; others newest first."""
    return await views.list_approvals(
        rt, wanted, principal=principal, mine=mine, order=sort, cursor=cursor, limit=limit
    )


@router.get(
    "/v1/approvals/{approval_id}",
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_approval(
    rt: Rt, principal: CurrentPrincipal, approval_id: ApprovalId
) -> ApprovalView:
    """Show an approval: its exact changes, its digest, who may decide, and until when."""
    return await views.get_approval(rt, approval_id, principal)


@router.post(
    "/v1/approvals/{approval_id}/decide",
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def decide_approval(
    rt: Rt, client: Temporal, principal: CurrentPrincipal, approval_id: ApprovalId, body: Decide
) -> ApprovalView:
    """Approve or decline. Another digest, a second decision or a late one is rejected."""
    return await decide.decide(
        rt,
        client,
        approval_id,
        principal,
        body.decision,
        body.digest,
        comment=body.comment,
        changes=body.changes,
        form=body.form,
    )


@router.post(
    "/v1/approvals/{approval_id}/withdraw",
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def withdraw_approval(
    rt: Rt, client: Temporal, principal: CurrentPrincipal, approval_id: ApprovalId, body: Withdraw
) -> WithdrawalView:
    """Withdraw your approval. The run asks again for the changes that have not begun."""
    return await withdraw.withdraw(rt, client, approval_id, principal, body.comment)


@router.post(
    "/v1/approvals/{approval_id}/hand-over",
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def hand_over_approval(
    rt: Rt, principal: CurrentPrincipal, approval_id: ApprovalId, body: HandOver
) -> ApprovalView:
    """Let another group decide, where the policy allows it. The changes and the end stay."""
    return await hand_over.hand_over(rt, approval_id, principal, body.to, body.reason)


@router.post(
    "/v1/approvals/{approval_id}/break-glass",
    dependencies=[requires(Permission.BREAK_GLASS)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def use_break_glass(
    rt: Rt, client: Temporal, principal: CurrentPrincipal, approval_id: ApprovalId, body: BreakGlass
) -> ApprovalView:
    """Approve alone, with a reason that another person reviews. Protections still hold."""
    return await break_glass.break_glass(
        rt, client, approval_id, principal, body.digest, body.reason, body.changes
    )


@router.post(
    "/v1/approvals/{approval_id}/review",
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=error_responses(401, 403, 404, 409, 422),
)
async def review_break_glass(
    rt: Rt, principal: CurrentPrincipal, approval_id: ApprovalId, body: ReviewBreakGlass
) -> ApprovalView:
    """Review a break-glass approval of another person, of a run that you did not start."""
    return await review.review(rt, approval_id, principal, body.verdict, body.comment)
