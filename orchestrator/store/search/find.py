"""Queries of what is known of a value: rows of each kind, newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from orchestrator.domain.audit_event import StoredEvent
from orchestrator.store.audit_events import select_events
from orchestrator.store.search.conditions import containments_where
from orchestrator.store.search.filters import ContainmentFilter, Names
from orchestrator.store.search.named import subjects_of
from orchestrator.store.tables import (
    AlertRow,
    ApprovalRow,
    AuditEventRow,
    ContainmentRow,
    RunRow,
)


async def find_alerts(session: AsyncSession, names: Names, limit: int) -> list[AlertRow]:
    """Return alerts that name the value. Reading their `raw` or `view` is an error."""
    wanted = select(AlertRow).options(defer(AlertRow.raw), defer(AlertRow.view))  # type: ignore[arg-type]
    named = wanted.where(col(AlertRow.id).in_(subjects_of(names)))
    newest = named.order_by(col(AlertRow.received_at).desc(), col(AlertRow.id).desc())
    return list(await session.scalars(newest.limit(limit)))


async def find_runs(session: AsyncSession, names: Names, limit: int) -> list[RunRow]:
    """Return runs that plan to change the value, or that started from an alert that names it."""
    subjects = subjects_of(names)
    wanted = select(RunRow).where(
        or_(col(RunRow.id).in_(subjects), col(RunRow.alert_id).in_(subjects))
    )
    newest = wanted.order_by(col(RunRow.created_at).desc(), col(RunRow.id).desc())
    return list(await session.scalars(newest.limit(limit)))


async def find_approvals(session: AsyncSession, names: Names, limit: int) -> list[ApprovalRow]:
    """Return approvals of changes to the value."""
    wanted = select(ApprovalRow).where(col(ApprovalRow.id).in_(subjects_of(names)))
    newest = wanted.order_by(col(ApprovalRow.asked_at).desc(), col(ApprovalRow.id).desc())
    return list(await session.scalars(newest.limit(limit)))


async def find_containments(
    session: AsyncSession, names: Names, limit: int
) -> list[ContainmentRow]:
    """Return containments of the value, and of what lies around it where `names` say so."""
    wanted = select(ContainmentRow).where(*containments_where(ContainmentFilter(target=names)))
    newest = wanted.order_by(col(ContainmentRow.since).desc(), col(ContainmentRow.key).desc())
    return list(await session.scalars(newest.limit(limit)))


async def find_events(
    session: AsyncSession, subjects: Collection[str], values: Sequence[str], limit: int
) -> list[StoredEvent]:
    """Return audit events about one of the subjects or values, or by a person of that name."""
    found = {}
    for wanted in (  # each has its index
        col(AuditEventRow.subject).in_([*subjects, *values]),
        *(col(AuditEventRow.actor) == f"person:{value}" for value in values),
    ):
        for each in await select_events(session, wanted, newest_first=True, limit=limit):
            found[each.number] = each
    return sorted(found.values(), key=lambda each: each.number, reverse=True)[:limit]
