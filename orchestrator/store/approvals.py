"""How do questions to people and their answers lie in the store? One row per question, one per person and question."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.store.dialect import insert
from orchestrator.store.tables import AnswerRow, ApprovalRow, RunRow


async def ask(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Puts a question; the same one again changes nothing. Whether it is new."""
    added = await session.execute(insert(session, ApprovalRow).values(row).on_conflict_do_nothing(index_elements=["id"]))
    return bool(getattr(added, "rowcount", 0))


async def get(session: AsyncSession, id_: str, *, lock: bool = False) -> ApprovalRow | None:
    """The question; with `lock`, nobody else changes it until this transaction ends."""
    wanted = select(ApprovalRow).where(col(ApprovalRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def close(session: AsyncSession, id_: str, state: str, now: datetime, *, delivered: bool = False) -> None:
    """Ends a pending question."""
    pending = update(ApprovalRow).where(col(ApprovalRow.id) == id_, col(ApprovalRow.state) == "pending")
    await session.execute(pending.values(state=state, decided_at=now, delivered=delivered))


async def answer(session: AsyncSession, row: AnswerRow) -> None:
    """Keeps a person's answer."""
    session.add(row)
    await session.flush()


async def answers(session: AsyncSession, ids: Sequence[str]) -> list[AnswerRow]:
    """What people answered, oldest first."""
    wanted = select(AnswerRow).where(col(AnswerRow.approval_id).in_(ids)).order_by(col(AnswerRow.at), col(AnswerRow.person))
    return list(await session.scalars(wanted))


async def mark_delivered(session: AsyncSession, id_: str) -> None:
    """The workflow that waits has the decision."""
    await session.execute(update(ApprovalRow).where(col(ApprovalRow.id) == id_).values(delivered=True))


async def undelivered(session: AsyncSession, limit: int) -> list[str]:
    """Ids of decided questions whose run does not have the decision yet; of runs that still go on."""
    wanted = (
        select(col(ApprovalRow.id))
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(col(ApprovalRow.delivered).is_(False), col(ApprovalRow.state).in_(["approved", "declined"]), col(RunRow.ended_at).is_(None))
    )
    return list(await session.scalars(wanted.order_by(col(ApprovalRow.decided_at)).limit(limit)))


async def pending_of_run(session: AsyncSession, run_id: str) -> int:
    """How many questions of a run nobody has decided."""
    wanted = select(func.count()).select_from(ApprovalRow).where(col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == "pending")
    return await session.scalar(wanted) or 0


async def withdraw(session: AsyncSession, run_id: str, now: datetime) -> list[str]:
    """Ends the pending questions of a run that is over; their ids."""
    chosen = list(
        await session.scalars(select(col(ApprovalRow.id)).where(col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == "pending"))
    )
    if chosen:
        gone = update(ApprovalRow).where(col(ApprovalRow.id).in_(chosen))
        await session.execute(gone.values(state="withdrawn", decided_at=now, delivered=True))
    return chosen


async def page(
    session: AsyncSession, *, after: tuple[datetime, str] | None, limit: int, state: str | None = None, run_id: str | None = None
) -> list[tuple[ApprovalRow, RunRow]]:
    """Questions with their runs, newest first, older than `after`."""
    wanted = select(ApprovalRow, RunRow).join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
    if state is not None:
        wanted = wanted.where(col(ApprovalRow.state) == state)
    if run_id is not None:
        wanted = wanted.where(col(ApprovalRow.run_id) == run_id)
    if after is not None:
        at, last = after
        older = (col(ApprovalRow.asked_at) < at) | ((col(ApprovalRow.asked_at) == at) & (col(ApprovalRow.id) < last))
        wanted = wanted.where(older)
    rows = await session.execute(wanted.order_by(col(ApprovalRow.asked_at).desc(), col(ApprovalRow.id).desc()).limit(limit))
    return [(approval, run) for approval, run in rows]
