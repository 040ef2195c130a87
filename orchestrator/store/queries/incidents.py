"""Queries on alerts and incidents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from orchestrator.store.search.conditions import alerts_where, in_order, incidents_where
from orchestrator.store.search.filters import AlertFilter, IncidentFilter, Order
from orchestrator.store.tables import AlertRow, IncidentRow

After = tuple[datetime, str] | None


async def get_alert(session: AsyncSession, alert_id: str) -> AlertRow | None:
    """Return an alert with its raw payload."""
    return await session.get(AlertRow, alert_id)


async def get_incident(session: AsyncSession, incident_id: str) -> IncidentRow | None:
    """Return an incident."""
    return await session.get(IncidentRow, incident_id)


async def list_alerts(
    session: AsyncSession,
    wanted: AlertFilter,
    *,
    after: After,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[AlertRow]:
    """Return the alerts that follow `after`. Reading their `raw` or `view` is an error."""
    chosen = select(AlertRow).options(defer(AlertRow.raw), defer(AlertRow.view))  # type: ignore[arg-type]
    columns = (col(AlertRow.received_at), col(AlertRow.id))
    page = in_order(chosen.where(*alerts_where(wanted)), *columns, after, limit, order)
    return list(await session.scalars(page))


async def list_incidents(
    session: AsyncSession,
    wanted: IncidentFilter,
    *,
    after: After,
    limit: int,
    order: Order = Order.NEWEST,
) -> list[IncidentRow]:
    """Return the incidents that follow `after`."""
    chosen = select(IncidentRow).where(*incidents_where(wanted))
    columns = (col(IncidentRow.opened_at), col(IncidentRow.id))
    return list(await session.scalars(in_order(chosen, *columns, after, limit, order)))
