"""Queries on approvals and on the decisions of people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from orchestrator.domain.approval import DELIVERED_STATES, ApprovalState
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.containment import EffectState
from orchestrator.domain.run import BEFORE
from orchestrator.store.audit_events import select_events
from orchestrator.store.authentic import sealed_values
from orchestrator.store.dialect import insert
from orchestrator.store.search.index import index_approval
from orchestrator.store.tables import (
    ApprovalRow,
    AuditEventRow,
    DecisionRow,
    EffectRow,
    PlaybookRow,
    RunRow,
    SignatureRow,
)

_SAME_QUESTION = ("run_id", "path", "kind", "digest", "by_group", "quorum", "level")


async def add(session: AsyncSession, row: dict[str, Any]) -> bool:
    """Add an approval, unless its id is known. Return whether it is new."""
    values = sealed_values(session, ApprovalRow(**row))
    added = await session.execute(
        insert(session, ApprovalRow).values(values).on_conflict_do_nothing(index_elements=["id"])
    )
    is_new = bool(getattr(added, "rowcount", 0))
    if is_new:
        await index_approval(session, row)
    return is_new


async def get(session: AsyncSession, id_: str, *, lock: bool = False) -> ApprovalRow | None:
    """Return an approval; with `lock`, no other transaction changes it until this one ends."""
    wanted = select(ApprovalRow).where(col(ApprovalRow.id) == id_)
    return await session.scalar(wanted.with_for_update() if lock else wanted)


async def save_decision(session: AsyncSession, row: DecisionRow) -> None:
    """Save a person's decision, in the place of one that they withdrew."""
    await session.merge(row)
    await session.flush()


async def list_decisions(session: AsyncSession, ids: Sequence[str]) -> list[DecisionRow]:
    """Return the decisions on these approvals, oldest first."""
    wanted = (
        select(DecisionRow)
        .where(col(DecisionRow.approval_id).in_(ids))
        .order_by(col(DecisionRow.at), col(DecisionRow.person))
    )
    return list(await session.scalars(wanted))


async def find_unheard(session: AsyncSession, asked: Mapping[str, Any]) -> ApprovalRow | None:
    """Return the newest approval of the same question to the same people that no workflow has read.

    It was asked by an attempt of the run that Temporal lost. Pending or decided, it still holds.
    """
    same = [getattr(ApprovalRow, name) == asked[name] for name in _SAME_QUESTION]
    wanted = select(ApprovalRow).where(
        *same,
        col(ApprovalRow.delivered).is_(False),
        col(ApprovalRow.state).in_(
            [ApprovalState.PENDING, ApprovalState.APPROVED, ApprovalState.DECLINED]
        ),
    )
    return await session.scalar(wanted.order_by(col(ApprovalRow.asked_at).desc()).limit(1))


async def list_undelivered(session: AsyncSession, limit: int) -> list[tuple[str, str]]:
    """Return decided approvals that no workflow has read, with their runs, which are open."""
    wanted = (
        select(col(ApprovalRow.id), col(ApprovalRow.run_id))
        .join(RunRow, col(RunRow.id) == col(ApprovalRow.run_id))
        .where(
            col(ApprovalRow.delivered).is_(False),
            col(ApprovalRow.state).in_(DELIVERED_STATES),
            col(RunRow.ended_at).is_(None),
        )
    )
    rows = await session.execute(wanted.order_by(col(ApprovalRow.decided_at)).limit(limit))
    return [(row[0], row[1]) for row in rows]


async def count_pending(session: AsyncSession, run_id: str) -> int:
    """Return how many approvals of a run are pending."""
    wanted = (
        select(func.count())
        .select_from(ApprovalRow)
        .where(col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == ApprovalState.PENDING)
    )
    return await session.scalar(wanted) or 0


async def end_with_run(
    session: AsyncSession, run_id: str, now: datetime, within: str | None = None
) -> list[ApprovalRow]:
    """End the pending approvals of a run that is over, and return them.

    `within`: only those of a step that is over, and of the steps in it.
    """
    pending = select(ApprovalRow).where(
        col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == ApprovalState.PENDING
    )
    rows = list(await session.scalars(pending.with_for_update()))
    if within is not None:
        rows = [row for row in rows if f"{row.path}/".startswith((f"{within}/", f"{within}["))]
    for row in rows:
        row.end_with_run(now)
    await session.flush()
    return rows


async def list_due_reminders(session: AsyncSession, now: datetime, limit: int) -> list[str]:
    """Return ids of pending approvals whose reminder is due, the longest overdue first."""
    pending = select(col(ApprovalRow.id)).where(
        col(ApprovalRow.state) == ApprovalState.PENDING, col(ApprovalRow.remind_at) <= now
    )
    return list(await session.scalars(pending.order_by(col(ApprovalRow.remind_at)).limit(limit)))


async def remind_now(session: AsyncSession, run_id: str, now: datetime) -> None:
    """Make the reminders of a run's pending approvals due."""
    pending = select(ApprovalRow).where(
        col(ApprovalRow.run_id) == run_id, col(ApprovalRow.state) == ApprovalState.PENDING
    )
    for row in await session.scalars(pending.order_by(col(ApprovalRow.id)).with_for_update()):
        row.remind_at = now
    await session.flush()


async def is_start_approved(session: AsyncSession, run_id: str) -> bool:
    """Return whether people approved that the run starts."""
    agreed = (
        col(ApprovalRow.path) == BEFORE,
        col(ApprovalRow.state) == ApprovalState.APPROVED,
    )
    wanted = select(ApprovalRow).where(col(ApprovalRow.run_id) == run_id, *agreed)
    return await session.scalar(wanted.limit(1)) is not None


async def changes_begun_under(session: AsyncSession, approval_id: str) -> set[str]:
    """Return digests of changes whose intent was recorded under an approval and did not fail."""
    begun = select(col(EffectRow.change_digest)).where(
        col(EffectRow.approval_id) == approval_id,
        col(EffectRow.state) != EffectState.FAILED,
    )
    return set(await session.scalars(begun))


async def is_spent(
    session: AsyncSession, approval_id: str, run_id: str, path: str, digest: str, effect_id: str
) -> bool:
    """Return whether another effect of the step was begun under an approval of this change."""
    begun = select(col(EffectRow.id)).where(
        col(EffectRow.approval_id) == approval_id,
        col(EffectRow.run_id) == run_id,
        col(EffectRow.path) == path,
        col(EffectRow.change_digest) == digest,
        col(EffectRow.id) != effect_id,
        col(EffectRow.state) != EffectState.FAILED,
    )
    return await session.scalar(begun.limit(1)) is not None


async def list_recorded_approvers(
    session: AsyncSession, approval_id: str, *, also_withdrawn: bool = False
) -> set[str]:
    """Return the actors whose decision on an approval is in the audit trail.

    Without those who withdrew it later, unless `also_withdrawn`.
    """
    decided = (EventKind.APPROVAL_DECIDED, EventKind.BREAK_GLASS_USED)
    kinds = (*decided, *(() if also_withdrawn else (EventKind.APPROVAL_WITHDRAWN,)))
    recorded = await select_events(
        session, col(AuditEventRow.subject) == approval_id, col(AuditEventRow.kind).in_(kinds)
    )
    found: set[str] = set()
    for event in recorded:
        change = found.add if event.record["kind"] in decided else found.discard
        change(event.record["actor"])
    return found


async def list_hand_overs(
    session: AsyncSession, approval_id: str
) -> set[tuple[str, str | None, str | None]]:
    """Return the hand-overs of an approval in the audit trail: actor, from and to which group."""
    recorded = await select_events(
        session,
        col(AuditEventRow.subject) == approval_id,
        col(AuditEventRow.kind) == EventKind.APPROVAL_HANDED_OVER,
    )
    return {
        (each.record["actor"], each.record["data"].get("from"), each.record["data"].get("to"))
        for each in recorded
    }


async def list_starters(session: AsyncSession, run: RunRow) -> list[tuple[str, str]]:
    """Return who started or retried a run: actors, and what each did."""
    retried = await select_events(
        session,
        col(AuditEventRow.subject) == run.id,
        col(AuditEventRow.kind) == EventKind.RUN_RETRIED,
    )
    return [(run.started_by, "started the run")] + [
        (event.record["actor"], "retried the run") for event in retried
    ]


async def list_authors(session: AsyncSession, run: RunRow) -> list[tuple[str, str]]:
    """Return who published or signed a run's version or one that it calls, and what each did."""
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
    """Yield the versions that a stored plan calls, at any depth; each call carries its plan."""
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        if (
            isinstance(part, dict)
            and isinstance(part.get("playbook"), str)
            and isinstance(part.get("version"), int)
        ):
            yield part["playbook"], part["version"]
        yield from _called(part)
