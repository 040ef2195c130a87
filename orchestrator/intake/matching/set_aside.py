"""Versions that are set aside: their trigger exceeded its budget, and starts no more runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from orchestrator.audit import trail
from orchestrator.domain.audit_event import EventKind
from orchestrator.store.queries import records
from orchestrator.store.tables import PlaybookRow


async def set_aside(
    session: AsyncSession, exceeded: Mapping[tuple[str, int], str], now: datetime
) -> None:
    """Let these versions start no more runs; `exceeded` says why. All others go on.

    A sweep of the worker opens a task for each.
    """
    for (name, version), why in sorted(exceeded.items()):
        row = await records.get(session, PlaybookRow, (name, version))
        if row is None or row.set_aside_at is not None:
            continue
        row.set_aside_at, row.set_aside_reason = now, why
        await trail.record(
            session,
            EventKind.PLAYBOOK_SET_ASIDE,
            actor="system",
            subject=name,
            data={"version": version, "reason": why},
            now=now,
        )
