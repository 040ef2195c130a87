"""Lists of approvals, and which of them wait for a person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.approval import ApprovalState, one_person
from orchestrator.store.search.conditions import approvals_where, in_order
from orchestrator.store.search.filters import ApprovalFilter, Order
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    DecisionRow,
    RunRow,
)
from orchestrator.store.tables.columns import is_literally

_SAME_QUESTION = ("run_id", "path", "kind", "digest", "by_group", "quorum", "level")


async def list_page(
    session: AsyncSession,
    wanted: ApprovalFilter,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    order: Order = Order.NEWEST,
    waiting_for: tuple[str, Collection[str]] | None = None,
    by_expiry: bool = False,
) -> list[tuple[ApprovalRow, RunRow]]:
    """Return the approvals, with their runs, that follow `after`.

    `waiting_for`: only those that a person of these groups has not decided. `by_expiry`: the
    pending ones, of which those that expire first come first.
    """
    chosen = select(ApprovalRow, RunRow).join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
    chosen = chosen.where(*approvals_where(wanted))
    if waiting_for is not None:
        chosen = chosen.where(*waits_for(*waiting_for))
    if by_expiry:
        chosen = chosen.where(is_literally(ApprovalRow.state, ApprovalState.PENDING))
    time = col(ApprovalRow.expires_at if by_expiry else ApprovalRow.asked_at)
    order = Order.OLDEST if by_expiry else order
    page = in_order(chosen, time, col(ApprovalRow.id), after, limit, order)
    return [(approval, run) for approval, run in await session.execute(page)]


def waits_for(person: str, groups: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a person of these groups may decide, and has not decided."""
    decided = select(col(DecisionRow.person)).where(
        col(DecisionRow.approval_id) == col(ApprovalRow.id),
        func.lower(func.trim(col(DecisionRow.person))) == one_person(person),
        col(DecisionRow.withdrawn_at).is_(None),
    )
    group = func.coalesce(col(ApprovalRow.handed_to), col(ApprovalRow.by_group))
    return (group.is_(None) | group.in_(groups), ~decided.correlate(ApprovalRow).exists())


async def list_alerts(session: AsyncSession, ids: Sequence[str]) -> dict[str, AlertRow]:
    """Return alerts by id."""
    found = await session.scalars(select(AlertRow).where(col(AlertRow.id).in_(ids)))
    return {row.id: row for row in found}


async def list_of_run(
    session: AsyncSession, run_id: str, states: Collection[str]
) -> list[ApprovalRow]:
    """Return the approvals of a run in one of these states, in the order they were asked."""
    wanted = select(ApprovalRow).where(
        col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state).in_(states)
    )
    return list(
        await session.scalars(wanted.order_by(col(ApprovalRow.asked_at), col(ApprovalRow.id)))
    )
