"""How do questions to people and their answers lie in the store? One row per question, one per person and question."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.run import BEFORE
from orchestrator.store.dialect import insert
from orchestrator.store.tables import (
    AnswerRow,
    ApprovalRow,
    AuditEventRow,
    EffectRow,
    PlaybookRow,
    RunRow,
    SignatureRow,
)

DECIDED = ("approved", "declined", "withdrawn", "void")
"""States of which the waiting run is told. One that was withdrawn since is told too: the run finds at apply that it holds no more."""


async def ask(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Puts a question; the same one again changes nothing. Whether it is new."""
    added = await session.execute(
        insert(session, ApprovalRow).values(row).on_conflict_do_nothing(index_elements=["id"])
    )
    return bool(getattr(added, "rowcount", 0))


async def get(session: AsyncSession, id_: str, *, lock: bool = False) -> ApprovalRow | None:
    """The question; with `lock`, nobody else changes it until this transaction ends."""
    wanted = select(ApprovalRow).where(col(ApprovalRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def answer(session: AsyncSession, row: AnswerRow) -> None:
    """Keeps a person's answer, in the place of the one that they have taken back."""
    await session.merge(row)
    await session.flush()


async def answers(session: AsyncSession, ids: Sequence[str]) -> list[AnswerRow]:
    """What people answered, oldest first."""
    wanted = (
        select(AnswerRow)
        .where(col(AnswerRow.approval_id).in_(ids))
        .order_by(col(AnswerRow.at), col(AnswerRow.person))
    )
    return list(await session.scalars(wanted))


async def mark_delivered(session: AsyncSession, id_: str) -> None:
    """The workflow that waits has the decision."""
    await session.execute(
        update(ApprovalRow).where(col(ApprovalRow.id) == id_).values(delivered=True)
    )


async def undelivered(session: AsyncSession, limit: int) -> list[str]:
    """Ids of decided questions whose run does not have the decision yet; of runs that still go on."""
    wanted = (
        select(col(ApprovalRow.id))
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(
            col(ApprovalRow.delivered).is_(False),
            col(ApprovalRow.state).in_(DECIDED),
            col(RunRow.ended_at).is_(None),
        )
    )
    return list(await session.scalars(wanted.order_by(col(ApprovalRow.decided_at)).limit(limit)))


async def pending_of_run(session: AsyncSession, run_id: str) -> int:
    """How many questions of a run nobody has decided."""
    wanted = (
        select(func.count())
        .select_from(ApprovalRow)
        .where(col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == "pending")
    )
    return await session.scalar(wanted) or 0


async def withdraw(session: AsyncSession, run_id: str, now: datetime) -> list[ApprovalRow]:
    """Ends the pending questions of a run that is over; those."""
    pending = select(ApprovalRow).where(
        col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == "pending"
    )
    chosen = list(await session.scalars(pending.with_for_update()))
    for row in chosen:
        row.state, row.decided_at, row.delivered, row.remind_at = "withdrawn", now, True, None
    await session.flush()
    return chosen


async def due_for_reminder(session: AsyncSession, now: datetime, limit: int) -> list[str]:
    """Ids of pending questions that people are to be reminded of."""
    pending = select(col(ApprovalRow.id)).where(
        col(ApprovalRow.state) == "pending", col(ApprovalRow.remind_at) <= now
    )
    return list(await session.scalars(pending.order_by(col(ApprovalRow.remind_at)).limit(limit)))


async def begun(session: AsyncSession, run_id: str) -> bool:
    """Whether people agreed that a run begins."""
    agreed = (col(ApprovalRow.path) == BEFORE, col(ApprovalRow.state) == "approved")
    return (
        await session.scalar(
            select(col(ApprovalRow.id)).where(col(ApprovalRow.run_id) == run_id, *agreed).limit(1)
        )
        is not None
    )


async def made_under(session: AsyncSession, approval_id: str) -> set[str]:
    """Digests of the changes whose intent was recorded under an approval, whatever became of them, but for those that failed."""
    made = select(col(EffectRow.change_digest)).where(
        col(EffectRow.approval_id) == approval_id, col(EffectRow.state) != "failed"
    )
    return set(await session.scalars(made))


async def starters(session: AsyncSession, run: RunRow) -> list[tuple[str, str]]:
    """Who started or retried a run: actors, and what they did."""
    retried = select(col(AuditEventRow.actor)).where(
        col(AuditEventRow.subject) == run.id, col(AuditEventRow.kind) == EventKind.RUN_RETRIED
    )
    return [(run.started_by, "started the run")] + [
        (actor, "retried the run") for actor in await session.scalars(retried)
    ]


async def writers(session: AsyncSession, run: RunRow) -> list[tuple[str, str]]:
    """Who published or signed what a run does, and what they did: its version, and those that it calls."""
    found: list[tuple[str, str]] = []
    top = await session.get(PlaybookRow, (run.playbook, run.version))
    versions = {(run.playbook, run.version), *(_called(top.plan) if top else ())}
    for name, version in sorted(versions):
        row = await session.get(PlaybookRow, (name, version))
        found += [(row.published_by, f"published {name} version {version}")] if row else []
        signed = select(SignatureRow).where(
            col(SignatureRow.name) == name, col(SignatureRow.version) == version
        )
        authors = await session.scalars(signed.where(col(SignatureRow.role) == "author"))
        found += [
            (f"person:{author.person}", f"signed {name} version {version} as its author")
            for author in authors
        ]
    return found


def _called(plan: Any) -> Iterator[tuple[str, int]]:
    """The versions that a stored plan calls, at any depth: each call carries the plan that it calls."""
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        if (
            isinstance(part, dict)
            and isinstance(part.get("playbook"), str)
            and isinstance(part.get("version"), int)
        ):
            yield part["playbook"], part["version"]
        yield from _called(part)


async def page(
    session: AsyncSession,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    state: str | None = None,
    run_id: str | None = None,
    review: str | None = None,
) -> list[tuple[ApprovalRow, RunRow]]:
    """Questions with their runs, newest first, older than `after`."""
    wanted = select(ApprovalRow, RunRow).join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
    for column, value in (
        (ApprovalRow.state, state),
        (ApprovalRow.run_id, run_id),
        (ApprovalRow.review, review),
    ):
        if value is not None:
            wanted = wanted.where(col(column) == value)
    if after is not None:
        at, last = after
        older = (col(ApprovalRow.asked_at) < at) | (
            (col(ApprovalRow.asked_at) == at) & (col(ApprovalRow.id) < last)
        )
        wanted = wanted.where(older)
    rows = await session.execute(
        wanted.order_by(col(ApprovalRow.asked_at).desc(), col(ApprovalRow.id).desc()).limit(limit)
    )
    return [(approval, run) for approval, run in rows]


async def of_run(session: AsyncSession, run_id: str, states: Collection[str]) -> list[ApprovalRow]:
    """Return the approvals of a run that are in one of these states, in the order they were asked."""
    wanted = select(ApprovalRow).where(
        col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state).in_(states)
    )
    return list(
        await session.scalars(wanted.order_by(col(ApprovalRow.asked_at), col(ApprovalRow.id)))
    )
