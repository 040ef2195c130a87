"""Batches of approvals: list and show what is asked together, decide what was shown."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.container import Rt, Temporal
from api.dependencies import CurrentPrincipal, GuardedRoute, requires
from api.filters.lists import Approvals
from api.filters.parameters import Mine, Sort
from api.paging import Cursor, Limit, Page
from api.problems import error_responses
from api.schemas.approvals import DecideBatch
from orchestrator.approvals.batches import decide, views
from orchestrator.approvals.batches.decide import BatchDecision, ShownApproval
from orchestrator.approvals.batches.views import ApprovalBatchView
from orchestrator.domain.access import Permission
from orchestrator.store.search.filters import Order

router = APIRouter(tags=["approvals"], route_class=GuardedRoute)

BatchId = Annotated[str, Path(min_length=1, max_length=200, examples=["bat_1f0c"])]


@router.get(
    "/v1/approval-batches",
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=error_responses(401, 403, 422),
)
async def list_approval_batches(
    rt: Rt,
    principal: CurrentPrincipal,
    wanted: Approvals,
    *,
    mine: Mine = False,
    sort: Sort = Order.NEWEST,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ApprovalBatchView]:
    """List the batches of pending approvals, by the first of them."""
    return await views.list_batches(
        rt, wanted, principal=principal, mine=mine, order=sort, cursor=cursor, limit=limit
    )


@router.get(
    "/v1/approval-batches/{batch_id}",
    dependencies=[requires(Permission.APPROVAL_READ)],
    responses=error_responses(401, 403, 404, 422),
)
async def get_approval_batch(
    rt: Rt, principal: CurrentPrincipal, batch_id: BatchId
) -> ApprovalBatchView:
    """Show a batch with each approval that is pending in it."""
    return await views.get_batch(rt, batch_id, principal)


@router.post(
    "/v1/approval-batches/{batch_id}/decide",
    dependencies=[requires(Permission.APPROVAL_DECIDE)],
    responses=error_responses(401, 403, 404, 422),
)
async def decide_approval_batch(
    rt: Rt, client: Temporal, principal: CurrentPrincipal, batch_id: BatchId, body: DecideBatch
) -> BatchDecision:
    """Approve or decline exactly the approvals that are named, each as a decision of its own.

    One that is refused does not stop the others. What joined the batch later is not decided.
    """
    shown = [ShownApproval.model_validate(item.model_dump()) for item in body.items]
    return await decide.decide_batch(
        rt,
        client,
        batch_id,
        principal,
        body.decision,
        shown,
        comment=body.comment,
        form=body.form,
    )
