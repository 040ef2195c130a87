"""Queries on alerts and incidents."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import SQLModel, col

from orchestrator.domain.incident import IncidentStatus
from orchestrator.store.tables import AlertRow, IncidentRow

R = TypeVar("R", bound=SQLModel)
After = tuple[datetime, str] | None


async def get_alert(session: AsyncSession, alert_id: str) -> AlertRow | None:
    """Return an alert with its raw payload."""
    return await session.get(AlertRow, alert_id)


async def get_incident(session: AsyncSession, incident_id: str) -> IncidentRow | None:
    """Return an incident."""
    return await session.get(IncidentRow, incident_id)


async def list_alerts(
    session: AsyncSession,
    *,
    after: After,
    limit: int,
    incident_id: str | None = None,
    source: str | None = None,
) -> list[AlertRow]:
    """Return alerts older than `after`, newest first. Reading their `raw` or `view` is an error."""
    wanted = select(AlertRow).options(defer(AlertRow.raw), defer(AlertRow.view))  # type: ignore[arg-type]
    for column, value in ((AlertRow.incident_id, incident_id), (AlertRow.source, source)):
        if value is not None:
            wanted = wanted.where(col(column) == value)
    return await _page(session, wanted, col(AlertRow.received_at), col(AlertRow.id), after, limit)


async def list_incidents(
    session: AsyncSession, *, after: After, limit: int, status: IncidentStatus | None = None
) -> list[IncidentRow]:
    """Return incidents older than `after`, newest first."""
    wanted = select(IncidentRow)
    if status is not None:
        wanted = wanted.where(col(IncidentRow.status) == status)
    return await _page(
        session, wanted, col(IncidentRow.opened_at), col(IncidentRow.id), after, limit
    )


async def _page(
    session: AsyncSession, wanted: Select[Any], moment: Any, id_: Any, after: After, limit: int
) -> list[R]:
    if after is not None:
        at, last = after
        wanted = wanted.where((moment < at) | ((moment == at) & (id_ < last)))
    return list(await session.scalars(wanted.order_by(moment.desc(), id_.desc()).limit(limit)))
