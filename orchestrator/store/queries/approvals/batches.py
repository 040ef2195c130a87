"""Queries on batches: the approvals that people see, and decide, together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.approval import ApprovalState
from orchestrator.store.queries.approvals.lists import waits_for
from orchestrator.store.search.conditions import approvals_where, in_order
from orchestrator.store.search.filters import ApprovalFilter, Order
from orchestrator.store.tables import ApprovalRow, RunRow
from orchestrator.store.tables.columns import is_literally

_SAME_PLAYBOOK = ("playbook", "version", "plan_digest", "source")
_SAME_QUESTION = ("path", "kind", "by_group", "quorum", "level")


class PendingBatch(NamedTuple):
    """A batch with approvals that are pending."""

    id: str
    created_at: datetime
    """When the first of them was asked."""
    size: int


async def newest_like(
    session: AsyncSession, run: RunRow, asked: Mapping[str, Any], since: datetime
) -> ApprovalRow | None:
    """Return the newest approval after `since` of the same playbook version, source and step."""
    wanted = (
        select(ApprovalRow)
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(
            *(getattr(RunRow, name) == getattr(run, name) for name in _SAME_PLAYBOOK),
            *(getattr(ApprovalRow, name) == asked[name] for name in _SAME_QUESTION),
            col(ApprovalRow.batch).is_not(None),
            col(ApprovalRow.asked_at) > since,
        )
    )
    newest = wanted.order_by(col(ApprovalRow.asked_at).desc(), col(ApprovalRow.id).desc())
    return await session.scalar(newest.limit(1))


async def first_of(session: AsyncSession, batch: str) -> ApprovalRow | None:
    """Return the approval that opened a batch."""
    wanted = select(ApprovalRow).where(col(ApprovalRow.batch) == batch)
    return await session.scalar(wanted.order_by(col(ApprovalRow.asked_at)).limit(1))


async def count(session: AsyncSession, batch: str) -> int:
    """Return how many approvals, pending or not, a batch has."""
    wanted = select(func.count()).select_from(ApprovalRow).where(col(ApprovalRow.batch) == batch)
    return await session.scalar(wanted) or 0


async def count_pending(session: AsyncSession, batch: str) -> int:
    """Return how many approvals of a batch are pending."""
    wanted = select(func.count()).select_from(ApprovalRow)
    pending = wanted.where(col(ApprovalRow.batch) == batch, *_pending_in_batches())
    return await session.scalar(pending) or 0


async def is_most_severe(session: AsyncSession, approval: ApprovalRow) -> bool:
    """Return whether the run of an approval is more severe than all others of its batch."""
    severity = select(col(RunRow.severity)).where(col(RunRow.id) == approval.run_id)
    others = (
        select(col(ApprovalRow.id))
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(
            col(ApprovalRow.batch) == approval.batch,
            col(ApprovalRow.id) != approval.id,
            col(RunRow.severity) >= severity.scalar_subquery(),
        )
    )
    return await session.scalar(others.limit(1)) is None


async def list_page(
    session: AsyncSession,
    wanted: ApprovalFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
    waiting_for: tuple[str, Collection[str]] | None = None,
) -> list[PendingBatch]:
    """Return the batches that follow `after`, with what is pending and fits the filter in each."""
    chosen: Any = (
        select(
            col(ApprovalRow.batch).label("id"),
            func.min(col(ApprovalRow.asked_at)).label("created_at"),
            func.count().label("size"),
        )
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(*approvals_where(wanted), *_pending_in_batches())
    )
    if waiting_for is not None:
        chosen = chosen.where(*waits_for(*waiting_for))
    found = chosen.group_by(col(ApprovalRow.batch)).subquery()
    page = in_order(select(found), found.c.created_at, found.c.id, after, limit, order)
    return [PendingBatch(*row) for row in await session.execute(page)]


async def list_pending(
    session: AsyncSession, batch: str, limit: int
) -> list[tuple[ApprovalRow, RunRow]]:
    """Return the pending approvals of a batch with their runs, the oldest first."""
    wanted = (
        select(ApprovalRow, RunRow)
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(col(ApprovalRow.batch) == batch, *_pending_in_batches())
        .order_by(col(ApprovalRow.asked_at), col(ApprovalRow.id))
        .limit(limit)
    )
    return [(approval, run) for approval, run in await session.execute(wanted)]


def _pending_in_batches() -> Sequence[Any]:
    return (
        is_literally(ApprovalRow.state, ApprovalState.PENDING),
        col(ApprovalRow.batch).is_not(None),
    )
