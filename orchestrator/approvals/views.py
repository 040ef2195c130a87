"""Approvals, listed and shown."""

from __future__ import annotations

from orchestrator.approvals.rejections import unknown_approval
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.load import load_approvals
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalState
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import approvals, runs


async def list_approvals(
    rt: Runtime,
    *,
    principal: Principal | None = None,
    state: str | None = None,
    run_id: str | None = None,
    review: str | None = None,
    mine: bool = False,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ApprovalView]:
    """Return approvals: pending ones by when they expire, the first first; others newest first.

    `mine`: only those that wait for the principal's decision. Raise Invalid for a bad cursor or
    limit.
    """
    if mine and (principal is None or not principal.has_permission(Permission.APPROVAL_DECIDE)):
        return make_page([], limit, None)
    by_expiry = mine or state == ApprovalState.PENDING
    async with rt.store.read() as session:
        rows = await approvals.list_page(
            session,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            state=ApprovalState.PENDING if mine else state,
            run_id=run_id,
            review=review,
            waiting_for=(principal.person, principal.groups) if mine and principal else None,
            by_expiry=by_expiry,
        )
        items = await load_approvals(session, rows, rt.clock(), principal)
    last = rows[-1][0] if rows else None
    key = (last.expires_at if by_expiry else last.asked_at, last.id) if last else None
    return make_page(items, limit, key)


async def get_approval(
    rt: Runtime, approval_id: str, principal: Principal | None = None
) -> ApprovalView:
    """Return an approval. Raise NotFound."""
    async with rt.store.read() as session:
        row = await approvals.get(session, approval_id)
        run = await runs.get(session, row.run_id) if row else None
        if row is None or run is None:
            raise unknown_approval(approval_id)
        (view,) = await load_approvals(session, [(row, run)], rt.clock(), principal)
    return view
