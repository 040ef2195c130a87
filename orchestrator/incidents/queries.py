"""Queries on alerts and incidents."""

from __future__ import annotations

from orchestrator.audit.archived import missing_record
from orchestrator.domain.audit_event import EventKind
from orchestrator.domain.errors import NotFound
from orchestrator.incidents.views import AlertDetails, AlertView, IncidentView
from orchestrator.runtime import Runtime
from orchestrator.store.paging import Page, check_limit, make_page, parse_cursor
from orchestrator.store.queries import alerts, incidents
from orchestrator.store.search.filters import AlertFilter, IncidentFilter, Order
from orchestrator.store.tables import AlertRow

EVERY_ALERT = AlertFilter()
EVERY_INCIDENT = IncidentFilter()


async def list_alerts(
    rt: Runtime,
    wanted: AlertFilter = EVERY_ALERT,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[AlertView]:
    """Return alerts. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await incidents.list_alerts(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
    last = (rows[-1].received_at, rows[-1].id) if rows else None
    return make_page([AlertView.of(row) for row in rows], limit, last)


async def get_alert(rt: Runtime, alert_id: str) -> AlertDetails:
    """Return an alert as playbooks read it. Raise NotFound."""
    return AlertDetails.of(await _row(rt, alert_id))


async def get_raw(rt: Runtime, alert_id: str) -> bytes:
    """Return the body of an alert as it was sent. Raise NotFound."""
    row = await _row(rt, alert_id)
    async with rt.store.read() as session:
        return await alerts.raw_of(session, row)


async def list_incidents(
    rt: Runtime,
    wanted: IncidentFilter = EVERY_INCIDENT,
    *,
    order: Order = Order.NEWEST,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[IncidentView]:
    """Return incidents. Raise Invalid for a bad cursor or limit."""
    async with rt.store.read() as session:
        rows = await incidents.list_incidents(
            session, wanted, after=parse_cursor(cursor), limit=check_limit(limit), order=order
        )
    last = (rows[-1].opened_at, rows[-1].id) if rows else None
    return make_page([IncidentView.of(row) for row in rows], limit, last)


async def get_incident(rt: Runtime, incident_id: str) -> IncidentView:
    """Return one incident. Raise NotFound."""
    async with rt.store.read() as session:
        row = await incidents.get_incident(session, incident_id)
    if row is None:
        raise NotFound(f"incident {incident_id} does not exist")
    return IncidentView.of(row)


async def _row(rt: Runtime, alert_id: str) -> AlertRow:
    async with rt.store.read() as session:
        row = await incidents.get_alert(session, alert_id)
        if row is None:
            raise await missing_record(session, "alert", alert_id, EventKind.ALERT_ACCEPTED)
    return row
