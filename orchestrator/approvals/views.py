"""Approvals, listed and shown."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.approvals.rejections import unknown_approval
from orchestrator.briefing.approval import ApprovalView
from orchestrator.briefing.load import load_approvals
from orchestrator.domain.access import Permission, Principal
from orchestrator.domain.approval import ApprovalState
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import approvals, runs
from orchestrator.store.search.filters import ApprovalFilter, Order

EVERY_APPROVAL = ApprovalFilter()
_PENDING = (ApprovalState.PENDING,)


async def list_approvals(
    rt: Runtime,
    wanted: ApprovalFilter = EVERY_APPROVAL,
    *,
    principal: Principal | None = None,
    mine: bool = False,
    order: Order | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ApprovalView]:
    """Return approvals; without an order, pending ones by when they expire, others newest first.

    `mine`: only those that wait for the principal's decision. Raise Invalid for a bad cursor or
    limit.
    """
    if mine and (principal is None or not principal.has_permission(Permission.APPROVAL_DECIDE)):
        return make_page([], limit, None)
    if mine:
        wanted = replace(wanted, state=_PENDING)
    by_expiry = order is None and wanted.state == _PENDING
    async with rt.store.read() as session:
        rows = await approvals.list_page(
            session,
            wanted,
            after=parse_cursor(cursor),
            limit=check_limit(limit),
            order=order or Order.NEWEST,
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
